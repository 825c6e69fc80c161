/* phase.c: how the participants of a step work through one list of items and meet. */
#include "forward/internal.h"

#include <assert.h>

/* Up to so many rows the participant that ends the last item finishes all rows alone. */
enum { FEW_ROWS = 2 };

void sl__phase(sl_forward *f, int layer, int self, int items, sl__item_fn *item, sl__row_fn *tail, sl__once_fn *once) {
    assert(items > 0); /* or few rows would have no tail */
    sl_workers *w = f->c.workers;
    int rows = tail ? f->step->rows : 0;
    bool few = rows <= FEW_ROWS;
    for (int i; (i = sl_workers_take(w, self)) < items;) {
        item(f, layer, self, i);
        if (!few || (!tail && !once)) continue;
        if (atomic_fetch_add_explicit(&f->ended, 1, memory_order_acq_rel) < items - 1) continue;
        atomic_store_explicit(&f->ended, 0, memory_order_relaxed); /* the last item: nobody else is left in this phase */
        for (int r = 0; r < rows; r++) tail(f, layer, r);
        if (once) once(f, layer);
    }
    sl_workers_barrier(w, self);
    if (few) return;
    for (int r; (r = sl_workers_take(w, self)) < rows;) tail(f, layer, r);
    sl_workers_barrier(w, self);
    if (!once) return;
    if (self == 0) once(f, layer);
    sl_workers_barrier(w, self);
}
