#include "cli/views.h"

/* What stands out: each function looks at every candidate and keeps the best few. */

typedef struct best {
    sl_find *find; /* [count], best first */
    int count, most;
} best;

static void offer(best *b, sl_find f) {
    int at = b->count;
    while (at > 0 && f.rank > b->find[at - 1].rank) at--;
    if (at == b->most) return;
    if (b->count < b->most) b->count++;
    for (int i = b->count - 1; i > at; i--) b->find[i] = b->find[i - 1];
    b->find[at] = f;
}

/* What makes a find stand out: its share times the usual one, or above it. */
typedef enum measure { TIMES, ABOVE } measure;

static double rank_of(measure by, double share, double usual) { return by == TIMES ? share / usual : share - usual; }

/* hits of n rows, where `usual` is the share to expect. */
static void consider(best *b, measure by, int layer, int expert, int other, uint64_t hits, uint64_t n, double usual) {
    if (hits == 0 || usual <= 0) return;
    /* Wilson's lower bound is below the share itself: most candidates need no square root. */
    double most = rank_of(by, (double)hits / (double)n, usual);
    if ((by == ABOVE && most <= 0) || (b->count == b->most && most <= b->find[b->count - 1].rank)) return;
    sl_share s = sl_view_share(hits, n);
    offer(b, (sl_find){layer, expert, other, s, usual, rank_of(by, s.low, usual)});
}

/* Fewer rows than these say nothing of a domain, a kind, a pair or a path. */
static bool too_few(const sl_views *v, uint64_t hits) { return hits < v->least; }

static int first_of(int number) { return number < 0 ? 0 : number; }

static bool passed_over(const sl_views *v, int asked, int layer) { return asked < 0 && v->chosen && !v->chosen[layer]; }

static int last_of(int number, int all) { return number < 0 ? all - 1 : number; }

int sl_find_tokens(const sl_views *v, sl_census_side side, int layer, int expert, int most, sl_find *ret) {
    best b = {ret, 0, most};
    double usual = sl_chance_row(v->experts, v->used);
    for (int l = first_of(layer); l <= last_of(layer, v->layers); l++) {
        if (passed_over(v, layer, l)) continue;
        for (int place = 0; place < sl_census_tokens(v->census); place++) {
            uint32_t n = sl_census_seen(v->census, side, sl_census_token(v->census, place));
            if (n < v->least) continue;
            const uint32_t *hits = sl_census_of_token(v->census, side, place, l);
            for (int e = first_of(expert); e <= last_of(expert, v->experts); e++) consider(&b, TIMES, l, e, place, hits[e], n, usual);
        }
    }
    return b.count;
}

static uint64_t domain_hits(const sl_views *v, int domain, int layer, int expert) {
    return sl_census_load(v->census, domain, 0, layer)[expert] + sl_census_load(v->census, domain, 1, layer)[expert];
}

/* The mean of an expert's shares of the domains' rows, each domain alike: over those that have rows. */
static double mean_share(const sl_views *v, int layer, int expert) {
    double sum = 0;
    int with_rows = 0;
    for (int d = 0; d < v->domains; d++) {
        if (!v->domain_rows[d]) continue;
        sum += (double)domain_hits(v, d, layer, expert) / (double)v->domain_rows[d];
        with_rows++;
    }
    return with_rows > 1 ? sum / with_rows : sl_chance_row(v->experts, v->used);
}

int sl_find_domains(const sl_views *v, int domain, int layer, int most, sl_find *ret) {
    best b = {ret, 0, most};
    for (int l = first_of(layer); l <= last_of(layer, v->layers); l++) {
        if (passed_over(v, layer, l)) continue;
        for (int e = 0; e < v->experts; e++) {
            double usual = mean_share(v, l, e);
            for (int d = first_of(domain); d <= last_of(domain, v->domains); d++) {
                uint64_t hits = domain_hits(v, d, l, e);
                if (!too_few(v, hits)) consider(&b, ABOVE, l, e, d, hits, v->domain_rows[d], usual);
            }
        }
    }
    return b.count;
}

int sl_find_kinds(const sl_views *v, int kind, int layer, int most, sl_find *ret) {
    best b = {ret, 0, most};
    for (int l = first_of(layer); l <= last_of(layer, v->layers); l++) {
        if (passed_over(v, layer, l)) continue;
        for (int k = first_of(kind); k <= last_of(kind, v->kinds); k++)
            for (int e = 0; e < v->experts; e++) {
                double usual = (double)v->layer[l].count[e] / (double)(v->rows ? v->rows : 1);
                uint64_t hits = sl_census_kind(v->census, k, l)[e];
                if (!too_few(v, hits)) consider(&b, ABOVE, l, e, k, hits, sl_census_kind_rows(v->census, k), usual);
            }
    }
    return b.count;
}

int sl_find_pairs(const sl_views *v, int layer, int expert, int most, sl_find *ret) {
    best b = {ret, 0, most};
    for (int l = first_of(layer); l <= last_of(layer, v->layers); l++) {
        if (passed_over(v, layer, l)) continue;
        const uint64_t *count = v->layer[l].count;
        for (int i = first_of(expert); i <= last_of(expert, v->experts); i++)
            for (int j = 0; j < v->experts; j++) {
                /* each pair once, from the rarer one */
                if (i == j || (expert < 0 && (count[i] > count[j] || (count[i] == count[j] && i > j)))) continue;
                uint64_t hits = sl_census_pair(v->census, l, i, j);
                if (!too_few(v, hits)) consider(&b, TIMES, l, i, j, hits, count[i], (double)count[j] / (double)(v->rows ? v->rows : 1));
            }
    }
    return b.count;
}

int sl_find_paths(const sl_views *v, int layer, int expert, int most, sl_find *ret) {
    best b = {ret, 0, most};
    for (int l = first_of(layer); l <= last_of(layer, v->layers) && l + 1 < v->layers; l++) {
        if (passed_over(v, layer, l)) continue;
        for (int e = first_of(expert); e <= last_of(expert, v->experts); e++)
            for (int next = 0; next < v->experts; next++) {
                uint64_t hits = sl_census_path(v->census, l, e)[next];
                double usual = (double)v->layer[l + 1].count[next] / (double)(v->rows ? v->rows : 1);
                if (!too_few(v, hits)) consider(&b, TIMES, l, e, next, hits, v->layer[l].count[e], usual);
            }
    }
    return b.count;
}
