/* census.h: what the router chose over a text, counted: the numbers from which every view of docs/experts.md follows.
 * One thread at a time, the one that runs the steps; its owner frees it.
 *
 * A step's choices are kept as the layers are routed (sl_census_routed), and counted once it is over, when it is known what
 * the model predicts at each row (sl_census_add). A row is a token at its place in the text. What is counted of it:
 *
 *     load    which experts ran, by layer, domain and half of the domain
 *     kind    … by the kind of text that the token is (punctuation, number, …; the caller's classes)
 *     pairs   which two experts ran for it in the same layer
 *     path    which expert of the next routed layer followed on which of this one
 *     tokens  which experts ran, by id: of the token itself, of the one that the model predicts, of the one that follows
 *
 * Invariants
 *   1. In every layer the experts' counts sum to `used` times the rows, the pairs' to used (used - 1) / 2 times, a path's to
 *      used² times.
 *   2. Memory is fixed at start (sl_census_bytes) whatever the text is: of ids only those of the config have a place in
 *      the tables of tokens. How often every other id came is counted too, so that it can be said how much that left out.
 *   3. At most SL_CENSUS_MOST rows: then no counter can overflow. */
#ifndef SL_EXPERTS_CENSUS_H
#define SL_EXPERTS_CENSUS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_CENSUS_MOST INT64_C(2147483647)

/* The ids that a row is counted under. */
typedef enum sl_census_side {
    SL_CENSUS_INPUT,     /* the token itself */
    SL_CENSUS_PREDICTED, /* the likeliest next one by the model */
    SL_CENSUS_NEXT,      /* the one that does come next in the text */
    SL_CENSUS_SIDES
} sl_census_side;

typedef struct sl_census_config {
    int layers;           /* of the model */
    const bool *routed;   /* [layers]; copied */
    int experts, used;    /* of a routed layer; used a token */
    int domains, kinds;
    int vocab;
    const int32_t *token; /* [tokens] the ids with a place in the tables, all different, 0 … vocab-1; copied */
    int tokens;
    int max_rows;         /* of a step */
} sl_census_config;

typedef struct sl_census_row {
    int domain; /* -1: the row is not counted */
    int half;   /* 0 or 1, of its domain */
    int kind;
    int32_t id[SL_CENSUS_SIDES]; /* -1: none */
} sl_census_row;

typedef struct sl_census sl_census;

size_t sl_census_bytes(const sl_census_config *c);
size_t sl_census_table_bytes(const sl_census_config *c); /* of these, what one more id in the tables costs */
sl_status sl_census_new(const sl_census_config *c, sl_census **ret, sl_error *e);
sl_census *sl_census_free(sl_census *c); /* NULL is fine; returns NULL */

/* During a step, as sl_forward_config.routed wants it, arg being the census: keeps a layer's choices.
 *   expert [rows][used] ascending; weight is not looked at */
void sl_census_routed(void *arg, int layer, int rows, const int32_t *expert, const float *weight);
/* After it: row [rows] says what each of the step's rows was. */
void sl_census_add(sl_census *c, const sl_census_row *row, int rows);

/* What was counted. Layers are numbered by those that route: 0 … sl_census_layers-1. */
int sl_census_layers(const sl_census *c);
int sl_census_layer(const sl_census *c, int routed);                 /* its number in the model */
uint64_t sl_census_rows(const sl_census *c, int domain, int half);   /* counted; domain -1: all domains, half -1: both */
const uint64_t *sl_census_load(const sl_census *c, int domain, int half, int layer);          /* [experts] */
uint64_t sl_census_kind_rows(const sl_census *c, int kind);
const uint64_t *sl_census_kind(const sl_census *c, int kind, int layer);                      /* [experts] */
uint32_t sl_census_pair(const sl_census *c, int layer, int i, int j);                         /* rows with both; i != j */
const uint32_t *sl_census_path(const sl_census *c, int layer, int expert);                    /* [experts] of layer + 1 */
int sl_census_tokens(const sl_census *c);                                                     /* ids in the tables */
int32_t sl_census_token(const sl_census *c, int place);                                       /* its id */
uint32_t sl_census_seen(const sl_census *c, sl_census_side side, int32_t id);                 /* rows with any id */
const uint32_t *sl_census_of_token(const sl_census *c, sl_census_side side, int place, int layer); /* [experts] */

#endif
