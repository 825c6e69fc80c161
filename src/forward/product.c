/* product.c: the products of a phase as its items. */
#include "forward/internal.h"

static int range_length(const sl_forward *f, const sl__product *p, int count) {
    size_t rows = 0;
    for (int i = 0; i < count; i++) rows += (size_t)p[i].w->rows;
    return sl_range_length(rows, f->c.threads);
}

int sl__product_items(const sl_forward *f, const sl__product *p, int count) {
    int length = range_length(f, p, count), items = 0;
    for (int i = 0; i < count; i++) items += sl_range_count(p[i].w->rows, length);
    return items;
}

sl_range sl__product_item(sl_forward *f, int self, const sl__product *p, int count, int rows, int item) {
    int length = range_length(f, p, count);
    for (int items; item >= (items = sl_range_count(p->w->rows, length)); p++) item -= items;
    const sl_matrix *w = p->w;
    sl_range range = sl_range_at(w->rows, length, item);
    sl_acts x = sl_planes_acts(p->x, 0);
    f->k->gemm[w->type](w, range.first, range.last, &x, NULL, rows, p->out + range.first, (size_t)w->rows,
                        f->worker[self].gemm, NULL);
    return range;
}
