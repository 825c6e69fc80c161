/* views.h: the formulas of `sluice experts`, and what they give for a layer: docs/experts.md says what each means.
 * Any thread; pure but for reading the census. */
#ifndef SL_CLI_VIEWS_H
#define SL_CLI_VIEWS_H

#include "base/error.h"
#include "experts/census.h"

#include <stdbool.h>
#include <stdint.h>

/* Of n [experts], how often each ran. All zero without any. */
typedef struct sl_imbalance {
    uint64_t total;
    double max_over_mean; /* 1: even; experts: all in one */
    double balancedness;  /* mean over max, 0 … 1 */
    double jain;          /* (sum n)² / (experts sum n²), 1 / experts … 1 */
    double entropy;       /* of the shares, over ln experts: 0 … 1; 1 for one expert */
    double max_share;
    int active;           /* experts that ran at all */
} sl_imbalance;
sl_imbalance sl_view_imbalance(const uint64_t *n, int experts);

/* Jensen-Shannon divergence of the shares of p and q, in bits, 0 … 1; NaN where either has no counts. */
double sl_view_js(const uint64_t *p, const uint64_t *q, int experts);
/* What two samples of one distribution give by sampling alone, in bits: rows_p and rows_q independent rows of `used` experts
 * each, (experts - used) / (8 used ln 2) (1 / rows_p + 1 / rows_q). */
double sl_view_js_chance(int experts, int used, double rows_p, double rows_q);

/* Wilson's interval of a share at 95 % (z = 1.959964); n 0: share 0, 0 … 1. */
typedef struct sl_share {
    uint64_t hits, n;
    double share, low, high;
} sl_share;
sl_share sl_view_share(uint64_t hits, uint64_t n);

/* The largest of `experts` shares that n rows give by chance when expert e takes a row with probability p[e]: the expected
 * maximum of independent binomials, over n. n is first rounded down to three binary digits, and to 512 at most. */
double sl_view_expected_most(uint64_t n, const double *p, int experts);

/* Probabilities by chance, k of E experts: of a row to be an expert's, of one more of its experts to be a given one … */
double sl_chance_row(int experts, int used);          /* k / E */
double sl_chance_partner(int experts, int used);      /* (k - 1) / (E - 1); 0 for E = 1 */
double sl_chance_pair_lift(int experts, int used);    /* E (k - 1) / (k (E - 1)): choosing k different ones pushes it below 1 */

/* How strongly ids choose experts. */
typedef struct sl_vocabulary {
    int ids;      /* with enough rows */
    double score; /* mean over them of the largest share that an expert has of an id's rows; NaN for none */
    double chance; /* the same if experts took rows blindly, at their load */
} sl_vocabulary;

/* How much a layer's choice says about that of the next layer that routes. */
typedef struct sl_path {
    double entropy; /* of the next layer's experts given one of this layer, over ln E, weighted by load */
    double hit;     /* share of the next choice among the k likeliest experts after one of this layer's */
    double hot;     /* … among the k busiest experts of the next layer whatever this one chose */
} sl_path;

typedef struct sl_layer_view {
    int layer;        /* in the model */
    uint64_t *count;  /* [experts] how often each ran */
    sl_imbalance load;
    double js_between, js_within, js_chance; /* mean over pairs of domains; over the domains' two halves; by sampling alone,
                                              * for the pairs. NaN: none */
    sl_vocabulary vocabulary[SL_CENSUS_SIDES];
    bool leads;       /* there is a next layer that routes */
    sl_path path;
} sl_layer_view;

typedef struct sl_views {
    const sl_census *census;
    int experts, used, domains, kinds;
    uint64_t rows;        /* counted */
    uint64_t least;       /* rows that an id, pair or path needs to be shown */
    uint64_t *domain_rows; /* [domains] */
    sl_layer_view *layer; /* [layers] */
    int layers;           /* that route */
    const bool *chosen;   /* [layers] what finds over all layers look at; NULL: all of them. Borrowed */
} sl_views;

sl_status sl_views_new(const sl_census *c, int experts, int used, int domains, int kinds, uint64_t least, sl_views **ret, sl_error *e);
sl_views *sl_views_free(sl_views *v);

/* The chosen layers, or `most` of them (1 at least) at even distances, the first and the last among them: their places in v->layer to ret
 * [SL_MAX_LAYERS]. Returns how many. */
int sl_view_layers(const sl_views *v, int most, int *ret);

/* Divergence of two domains in bits, mean over the chosen layers; a == b: between the domain's halves. */
double sl_view_mean_js(const sl_views *v, int a, int b);

/* The experts' counts of a domain, both halves: to ret [experts]. */
void sl_view_domain(const sl_views *v, int domain, int layer, uint64_t *ret);

/* A thing that stands out: share.share is its share, `usual` what it would be if it did not. The rank is that of the share's lower bound, so
 * that a large ratio of few rows does not win: times the usual share, or, of domains and kinds, above it. */
typedef struct sl_find {
    int layer;       /* of v->layer */
    int expert;
    int other;       /* the token's place, the domain, the kind, the partner, the expert that follows */
    sl_share share;
    double usual, rank;
} sl_find;

/* The best `most` finds of v->least rows or more (of tokens: whose id has so many), best first; returns how many. layer -1: over the
 * chosen ones. expert, domain, kind -1: over all. What `share` is a share of, and what is usual:
 *   tokens   of the id's rows; k / E
 *   domains  of the domain's rows; the mean over domains, k / E for one domain
 *   kinds    of the kind's rows; of all rows
 *   pairs    of the expert's rows, of the rarer one's where it is -1; the other's share of all rows
 *   paths    of the expert's rows; the follower's share of all */
int sl_find_tokens(const sl_views *v, sl_census_side side, int layer, int expert, int most, sl_find *ret);
int sl_find_domains(const sl_views *v, int domain, int layer, int most, sl_find *ret);
int sl_find_kinds(const sl_views *v, int kind, int layer, int most, sl_find *ret);
int sl_find_pairs(const sl_views *v, int layer, int expert, int most, sl_find *ret);
int sl_find_paths(const sl_views *v, int layer, int expert, int most, sl_find *ret);

#endif
