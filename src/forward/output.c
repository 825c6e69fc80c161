/* From the residual stream to logits, for the rows that want them. */
#include "forward/internal.h"

/* The final norm of a row that wants logits; its place among them is where it stands in logit_row. */
void sl__finish_row(sl_forward *f, int layer, int row) {
    (void)layer;
    if (!f->step->row[row].logits) return;
    const sl_hparams *hp = &f->m->hp;
    int lo = 0, hi = f->logit_rows - 1;
    while (lo < hi) {
        int mid = (lo + hi) / 2;
        if (f->logit_row[mid] < row) lo = mid + 1;
        else hi = mid;
    }
    f->k->rmsnorm(f->x + (size_t)row * (size_t)hp->width, f->m->output_norm, hp->width, hp->norm_eps,
                  sl_planes_row(&f->h, lo));
    if (sl_types[f->m->output.type].quantised) sl_planes_quantize(&f->h, lo, 0, hp->width);
}

static int range(const sl_forward *f) { return sl_ffn_range((size_t)f->m->output.rows, f->participants); }

static void logits_item(sl_forward *f, int layer, int self, int item) {
    (void)layer;
    const sl_matrix *w = &f->m->output;
    int first = item * range(f), last = sl__least(first + range(f), w->rows);
    sl_acts x = sl_planes_acts(&f->h, 0);
    f->k->gemm[w->type](w, first, last, &x, NULL, f->logit_rows, f->logits + first, (size_t)w->rows, f->worker[self].gemm,
                        NULL);
}

void sl__output(sl_forward *f, int self) {
    if (!f->logit_rows) return;
    sl__phase(f, 0, self, (f->m->output.rows + range(f) - 1) / range(f), logits_item, NULL, NULL);
}
