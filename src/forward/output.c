/* output.c: from the residual stream to logits, for the rows that want them. */
#include "base/fmath.h"
#include "forward/internal.h"

/* A row that wants logits is numbered by its place in logit_row, which ascends. */
static int number_of(const sl_forward *f, int row) {
    int lo = 0, hi = f->logit_rows - 1;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (f->logit_row[mid] < row) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

void sl__output_input(sl_forward *f, int row) {
    if (!f->step->row[row].logits) return;
    sl__stream_norm(f, row, f->m->output_norm, f->m->output_norm_bias, number_of(f, row), sl_matrix_quantised(&f->m->output));
}

static sl__product logits_product(const sl_forward *f) { return (sl__product){&f->m->output, &f->h, f->logits}; }

static void logits_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    sl__product p = logits_product(f);
    sl__product_item(f, self, &p, 1, f->logit_rows, item);
}

/* cap * tanh(z / cap), tanh(v) being (1 - e^-2v) / (1 + e^-2v) for v >= 0. */
static float capped(float z, float cap) {
    float v = z / cap, e = sl_expf(-2 * (v < 0 ? -v : v)), t = (1 - e) / (1 + e);
    return cap * (v < 0 ? -t : t);
}

/* Bias, factor and cap of a row's logits. */
static void logits_row(sl_forward *f, int layer, int row) {
    (void)layer;
    if (!f->step->row[row].logits) return;
    const sl_hparams *hp = &f->m->hp;
    float *logits = f->logits + (size_t)number_of(f, row) * (size_t)hp->vocab;
    if (f->m->output_bias) f->k->add(logits, f->m->output_bias, hp->vocab);
    if (hp->logit_scale != 0) sl_scale(logits, hp->logit_scale, hp->vocab);
    for (int i = 0; hp->logit_cap != 0 && i < hp->vocab; i++) logits[i] = capped(logits[i], hp->logit_cap);
}

void sl__output(sl_forward *f, int self) {
    sl__product p = logits_product(f);
    bool finish = f->m->output_bias || f->m->hp.logit_scale != 0 || f->m->hp.logit_cap != 0;
    if (f->logit_rows) sl__phase(f, 0, self, sl__product_items(f, &p, 1), logits_item, finish ? logits_row : NULL, NULL);
}
