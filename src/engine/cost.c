#include "engine/cost.h"

#include "base/fmath.h"

#include <string.h>

/* Seconds for each weight, multiply-add and multiply-add of attention, before anything is known: two cores of 2025. Their
 * ratios matter more than their size, which the first step corrects. */
static const double first_price[SL__PRICES] = {1.0 / 80e9, 1.0 / 450e9, 4.0 / 450e9};

/* Standard deviations of logarithms. */
static const double first_common = 1.5, first_each = 0.3; /* of the prices at the start: all together, each by itself */
static const double noise = 0.15;                         /* of a step's seconds */
static const double most_deviations = 3;                  /* that an error counts */
/* Of what is known, forgotten with a step; so what is never seen is known as at the start, no worse. */
static const double forgotten = 0.005;

static void forget(sl__cost *c, double part) {
    for (int i = 0; i < SL__PRICES; i++)
        for (int j = 0; j < SL__PRICES; j++) {
            double first = first_common * first_common + (i == j ? first_each * first_each : 0);
            c->spread[i][j] += part * (first - c->spread[i][j]);
        }
}

static void set_prices(sl__cost *c) {
    for (int i = 0; i < SL__PRICES; i++) c->price[i] = first_price[i] * (double)sl_expf(c->log_price[i]);
}

sl__shape sl__shape_of(const sl_model *m, int ctx) {
    double output = (double)m->hp.vocab * m->hp.width, used = 1, routed = 0;
    double rows = (double)m->own_inputs.rows * m->own_inputs.cols; /* a step reads one for each token, as of the embedding */
    double body = (double)m->parameters - output * (m->hp.tied ? 1 : 2) - rows;
    if (m->hp.experts > m->hp.experts_used) {
        used = (double)m->hp.experts_used / m->hp.experts;
        routed = (double)(m->parameters - m->active_parameters) / (1 - used);
    }
    return (sl__shape){.dense = body - routed, .experts = routed, .used = used, .output = output,
                       .attention = sl_kv_position_work(&m->hp, SL_KV_I16, ctx, SL_KV_FULL).multiplies,
                       .windowed = sl_kv_position_work(&m->hp, SL_KV_I16, ctx, SL_KV_WINDOWED).multiplies,
                       .window = sl_kv_window_of(&m->hp, ctx)};
}

void sl__cost_init(sl__cost *c, const sl__shape *s) {
    memset(c, 0, sizeof *c);
    c->shape = *s;
    forget(c, 1);
    set_prices(c);
}

static double seen(sl_kv_window w, int position, int rows) {
    return (double)(sl_kv_seen(w, position + rows) - sl_kv_seen(w, position));
}

sl__work sl__cost_with(const sl__cost *c, sl__work w, int position, int rows, int logits, int sign) {
    w.rows += sign * rows;
    w.logits += sign * logits;
    w.positions += sign * seen((sl_kv_window){0}, position, rows);
    w.windowed += sign * seen(c->shape.window, position, rows);
    return w;
}

/* Seconds of a step's parts; returns their sum. */
static double parts(const sl__cost *c, const sl__work *w, double ret[SL__PRICES]) {
    const sl__shape *s = &c->shape;
    float untouched = s->used < 1 ? sl_expf((float)w->rows * sl_logf((float)(1 - s->used))) : 0;
    ret[0] = c->price[0] * (s->dense + s->experts * (1 - (double)untouched) + (w->logits ? s->output : 0));
    ret[1] = c->price[1] * (w->rows * (s->dense + s->experts * s->used) + w->logits * s->output);
    ret[2] = c->price[2] * (w->positions * s->attention + w->windowed * s->windowed);
    return ret[0] + ret[1] + ret[2];
}

double sl__cost_seconds(const sl__cost *c, const sl__work *w) {
    double part[SL__PRICES];
    return w->rows ? parts(c, w, part) : 0;
}

void sl__cost_learn(sl__cost *c, const sl__work *w, double seconds) {
    double part[SL__PRICES], toward[SL__PRICES], sum = parts(c, w, part), variance = noise * noise;
    if (!(sum > 0) || !(seconds > 0)) return;
    forget(c, forgotten);
    for (int i = 0; i < SL__PRICES; i++) {
        toward[i] = 0; /* covariance of price i with the step's seconds */
        for (int j = 0; j < SL__PRICES; j++) toward[i] += c->spread[i][j] * part[j] / sum;
        variance += toward[i] * part[i] / sum;
    }
    double error = (double)sl_logf((float)(seconds / sum)), most = most_deviations * (double)sl_sqrtf((float)variance);
    error = error > most ? most : error < -most ? -most : error;
    for (int i = 0; i < SL__PRICES; i++) {
        c->log_price[i] += (float)(toward[i] / variance * error);
        for (int j = 0; j < SL__PRICES; j++) c->spread[i][j] -= toward[i] * toward[j] / variance;
    }
    set_prices(c);
}
