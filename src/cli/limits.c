#include "cli/limits.h"

#include "base/clock.h"
#include "forward/kv.h"
#include "forward/state.h"

#include <stdatomic.h>

enum { PIECE = 1 << 20 }; /* bytes that a worker reads at a time */

typedef struct reading {
    sl_workers *w;
    const sl_model *m;
    atomic_uint_fast64_t bytes;
    uint64_t most;
    atomic_uint_fast64_t sum; /* keeps the reads from being left out */
} reading;


static const sl_matrix *matrix_at(const sl_model *m, int layer, int i) {
    const sl_layer *l = &m->layer[layer];
    const sl_matrix *own[] = {&l->q, &l->k, &l->v, &l->o, &l->dense.gate, &l->dense.up, &l->dense.down, &l->shared.gate,
                              &l->shared.up, &l->shared.down};
    enum { OWN = sizeof own / sizeof own[0] };
    if (i < OWN) return own[i];
    i -= OWN;
    if (!l->experts || i >= 3 * m->hp.experts) return NULL;
    const sl_ffn_weights *e = &l->experts[i / 3];
    return i % 3 == 0 ? &e->gate : i % 3 == 1 ? &e->up : &e->down;
}

/* Every worker walks all matrices and reads the pieces whose number it draws. */
static void read_region(void *ctx, int self) {
    reading *r = ctx;
    int mine = sl_workers_take(r->w, self), piece = 0;
    uint64_t sum = 0, bytes = 0;
    for (int layer = 0; layer < r->m->hp.layers; layer++) {
        const sl_matrix *w;
        for (int i = 0; (w = matrix_at(r->m, layer, i)); i++) {
            const sl_type_info *t = &sl_types[w->type];
            size_t size = sl_matrix_bytes(w) / (size_t)(t->block_bytes + t->apart) * (size_t)t->block_bytes; /* of what stands at data */
            for (size_t at = 0; at < size && (at == 0 || at + PIECE / 2 < size); at += PIECE, piece++) {
                if (piece != mine) continue;
                size_t n = size - at < PIECE ? size - at : PIECE;
                sum ^= sl_kernels()->limit_read(w->data + at, n & ~(size_t)127);
                bytes += n;
                mine = sl_workers_take(r->w, self);
                if ((uint64_t)piece * PIECE > r->most) goto enough;
            }
        }
    }
enough:
    atomic_fetch_add(&r->bytes, bytes);
    atomic_fetch_add(&r->sum, sum);
}

double sl_limit_read(sl_workers *w, const sl_model *m) {
    reading r = {.w = w, .m = m, .most = UINT64_C(2) << 30};
    uint64_t began = sl_clock_ns();
    do sl_workers_run(w, read_region, &r);
    while (sl_clock_ns() - began < SL_SECOND / 10 && atomic_load(&r.bytes) > 0);
    return (double)atomic_load(&r.bytes) / ((double)(sl_clock_ns() - began) / 1e9);
}

typedef struct multiplying {
    atomic_uint_fast64_t products;
    atomic_uint_fast64_t sum;
} multiplying;

static void multiply_region(void *ctx, int self) {
    (void)self;
    multiplying *r = ctx;
    uint64_t began = sl_clock_ns();
    double products = 0;
    float sum, total = 0;
    do {
        products += sl_kernels()->limit_multiply(200, &sum);
        total += sum;
    } while (sl_clock_ns() - began < SL_SECOND / 10);
    atomic_fetch_add(&r->products, (uint64_t)products);
    atomic_fetch_add(&r->sum, (uint64_t)(total > 0));
}

double sl_limit_multiply(sl_workers *w) {
    multiplying r = {0};
    uint64_t began = sl_clock_ns();
    sl_workers_run(w, multiply_region, &r);
    return (double)atomic_load(&r.products) / ((double)(sl_clock_ns() - began) / 1e9);
}

static double values(const sl_matrix *w) { return w->data ? (double)w->rows * w->cols : 0; }

static double ffn_bytes(const sl_ffn_weights *w) {
    return (double)sl_matrix_bytes(&w->gate) + (double)sl_matrix_bytes(&w->up) + (double)sl_matrix_bytes(&w->down);
}

static double ffn_values(const sl_ffn_weights *w) { return values(&w->gate) + values(&w->up) + values(&w->down); }

sl_cost sl_cost_of(const sl_model *m, sl_kv_type t) {
    const sl_hparams *hp = &m->hp;
    sl_kv_cost kv = sl_kv_cost_of(hp, t);
    sl_cost c = {.dense_bytes = (double)sl_matrix_bytes(&m->output),
                 .output_multiplies = values(&m->output),
                 .kv_bytes = kv.position.bytes,
                 .state_bytes = (double)sl_state_bytes(hp),
                 .kv_multiplies = kv.position.multiplies};
    c.dense_bytes += (double)sl_matrix_bytes(&m->own_projection);
    c.row_multiplies += values(&m->own_projection);
    int routed = 0;
    for (int i = 0; i < hp->layers; i++) {
        const sl_layer *l = &m->layer[i];
        const sl_matrix *mixing[] = {&l->q, &l->k, &l->v, &l->gate, &l->o, &l->delta.in, &l->delta.gate, &l->delta.strength, &l->delta.decay,
                                     &l->own_gate, &l->own_projection};
        for (size_t j = 0; j < sizeof mixing / sizeof *mixing; j++) {
            c.dense_bytes += (double)sl_matrix_bytes(mixing[j]);
            c.row_multiplies += values(mixing[j]);
        }
        c.dense_bytes += ffn_bytes(&l->dense) + ffn_bytes(&l->shared) + (double)sl_matrix_bytes(&l->router);
        c.row_multiplies += values(&l->router);
        c.row_multiplies += ffn_values(&l->dense) + ffn_values(&l->shared);
        if (!l->experts) continue;
        double bytes = 0, all = 0;
        for (int e = 0; e < hp->experts; e++) {
            bytes += ffn_bytes(&l->experts[e]);
            all += ffn_values(&l->experts[e]);
        }
        c.expert_bytes += bytes / hp->experts;
        c.row_multiplies += all / hp->experts * hp->experts_used;
        routed++;
    }
    if (routed) c.expert_bytes /= routed;
    return c;
}
