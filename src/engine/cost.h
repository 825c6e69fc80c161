/* cost.h: what a step costs, learned from the steps before it.
 * Engine thread; no clock: who measures says the seconds.
 *
 *   seconds = w * weights read + m * multiply-adds + a * multiply-adds of attention
 * The amounts follow from the model's shape and the step's rows: n rows touch 1 - (1 - used)^n of the routed experts, a
 * row at position p attends to p + 1 positions, in layers with a window to those within it. The three prices are learned,
 * as logarithms, by a Kalman filter: each step's error (a ratio) is shared out among the prices by what each contributed to
 * the step and how unsure it is.
 *
 * Invariants
 *   1. Prices are positive, and no history makes them stiff: with every step a little of what is known is forgotten, more
 *      of all prices together than of each alone, as a shared machine becomes slower or faster as a whole.
 *   2. What a kind of step cannot show it does not change: after a thousand decode steps the price of attention has only
 *      moved with the machine's speed. So a mix that has not been seen for long, or ever, is still foreseen from its parts.
 *   3. One step moves nothing far: an error counts up to three times what was to be expected. So steps that read pages in,
 *      or that a neighbour held up, are forgotten after a few others. */
#ifndef SL_ENGINE_COST_H
#define SL_ENGINE_COST_H

#include "forward/kv.h"
#include "model/model.h"

enum { SL__PRICES = 3 };

/* The model, counted in weights. */
typedef struct sl__shape {
    double dense;     /* every step reads them, every row is multiplied with them; without the output matrix */
    double experts;   /* of all routed experts together */
    double used;      /* share of them that a row is multiplied with */
    double output;    /* of the output matrix: read and multiplied for rows that want logits */
    double attention; /* multiply-adds of a row with a position, in the layers that see all positions */
    double windowed;  /* likewise in those with a window */
    sl_kv_window window; /* of these */
} sl__shape;

/* What a step has to do. */
typedef struct sl__work {
    int rows, logits; /* rows in all; those that want logits */
    double positions; /* attended to, summed over the rows, in a layer that sees all positions */
    double windowed;  /* likewise in one with a window */
} sl__work;

typedef struct sl__cost {
    sl__shape shape;
    float log_price[SL__PRICES];                /* of weights, multiply-adds, attention; against the prices of cost.c */
    double price[SL__PRICES];                   /* the same, in seconds for each */
    double spread[SL__PRICES][SL__PRICES];      /* covariance of log_price */
} sl__cost;

sl__shape sl__shape_of(const sl_model *m, int ctx); /* ctx: positions of the longest sequence */
/* The work with so many more rows of one sequence, from that position on, of which so many want logits; sign -1: with fewer. */
sl__work sl__cost_with(const sl__cost *c, sl__work w, int position, int rows, int logits, int sign);
void sl__cost_init(sl__cost *c, const sl__shape *s);
double sl__cost_seconds(const sl__cost *c, const sl__work *w);
void sl__cost_learn(sl__cost *c, const sl__work *w, double seconds);

#endif
