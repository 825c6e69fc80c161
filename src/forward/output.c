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

/* Bias, factor and cap of numbers [first, last) of a row's logits. */
static void finish(const sl_forward *f, float *logits, sl_range range) {
    const sl_hparams *hp = &f->m->hp;
    int n = range.last - range.first;
    if (f->m->output_bias) f->k->add(logits + range.first, f->m->output_bias + range.first, n);
    if (hp->logit_scale != 0) sl_scale(logits + range.first, hp->logit_scale, n);
    if (hp->logit_cap != 0) f->k->cap(logits + range.first, hp->logit_cap, n);
}

static void logits_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    sl__product p = logits_product(f);
    sl_range range = sl__product_item(f, self, &p, 1, f->logit_rows, item);
    for (int r = 0; r < f->logit_rows; r++) finish(f, f->logits + (size_t)r * (size_t)f->m->hp.vocab, range);
}

void sl__output(sl_forward *f, int self) {
    sl__product p = logits_product(f);
    if (f->logit_rows) sl__phase(f, 0, self, sl__product_items(f, &p, 1), logits_item, NULL, NULL);
}
