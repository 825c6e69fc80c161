/* inputs.c: tells who asked what the matrices of a block are multiplied by. Participant 0 tells, at places where the
 * inputs of the phases before still stand; the others wait, since the next phase's tail makes new inputs in the same
 * memory. */
#include "forward/internal.h"

static void tell(const sl_forward *f, const sl_matrix *w, const sl_planes *x, const int32_t *row, int n) {
    f->c.multiplied(f->c.multiplied_arg, w, x->f, row, n);
}

void sl__tell_mixer_inputs(sl_forward *f, int layer, int self, const sl_planes *result) {
    if (!f->c.multiplied) return;
    if (self == 0) {
        const sl_layer *l = &f->m->layer[layer];
        const sl_matrix *in[] = {&l->q, &l->k, &l->v, &l->gate, &l->delta.in, &l->delta.gate, &l->delta.strength, &l->delta.decay};
        for (size_t i = 0; i < sizeof in / sizeof *in; i++)
            if (in[i]->data) tell(f, in[i], &f->h, NULL, f->step->rows);
        tell(f, &l->o, result, NULL, f->step->rows);
    }
    sl_workers_barrier(f->c.workers, self);
}

/* Of a group whose weights are on its inputs: these, in the result's memory, which nobody has written yet. */
static const float *weighed(const sl_forward *f, const sl_group *g, const float *weight) {
    int width = f->m->hp.width;
    for (int i = 0; i < g->n; i++) {
        const float *x = sl_planes_row(&f->h, g->row[i]);
        float *out = f->y + (size_t)i * (size_t)width;
        for (int j = 0; j < width; j++) out[j] = weight[i] * x[j];
    }
    return f->y;
}

void sl__tell_feed_forward_inputs(sl_forward *f, int layer, int self, bool routed) {
    if (!f->c.multiplied) return;
    if (self == 0) {
        const sl_layer *l = &f->m->layer[layer];
        if (routed) f->c.multiplied(f->c.multiplied_arg, &l->router, l->router_norm ? f->router_x : f->h.f, NULL, f->step->rows);
        for (int i = 0; i < f->groups.count; i++) {
            const sl_group *g = &f->groups.group[i];
            const float *weight = sl_ffn_input_weights(&f->ffn, g), *x = weight ? weighed(f, g, weight) : f->h.f;
            f->c.multiplied(f->c.multiplied_arg, &g->w->gate, x, weight ? NULL : g->row, g->n);
            f->c.multiplied(f->c.multiplied_arg, &g->w->up, x, weight ? NULL : g->row, g->n);
            tell(f, &g->w->down, &g->h, NULL, g->n);
        }
    }
    sl_workers_barrier(f->c.workers, self);
}

void sl__tell_own_embedding(sl_forward *f, int self) {
    if (!f->c.multiplied) return;
    if (self == 0) tell(f, &f->m->own_projection, &f->h, NULL, f->step->rows);
    sl_workers_barrier(f->c.workers, self);
}

void sl__tell_own_inputs(sl_forward *f, int layer, int self) {
    if (!f->c.multiplied) return;
    if (self == 0) {
        tell(f, &f->m->layer[layer].own_gate, &f->h, NULL, f->step->rows);
        tell(f, &f->m->layer[layer].own_projection, &f->own_gated, NULL, f->step->rows);
    }
    sl_workers_barrier(f->c.workers, self);
}
