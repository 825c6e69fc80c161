/* importance.h: how much each column of a model's matrices matters: the sum of squares of what it is multiplied by,
 * over some text, and how many rows that were, for every expert by itself. Counted here, written in the form of
 * llama-imatrix, read by `sluice convert --imatrix`. One thread; the model must outlive it. */
#ifndef SL_CONVERT_IMPORTANCE_H
#define SL_CONVERT_IMPORTANCE_H

#include "base/notes.h"
#include "model/model.h"

#include <stdbool.h>

typedef struct sl_importance sl_importance;

/* Room for every matrix of the model's blocks: 8 bytes a column, for each expert. */
sl_status sl_importance_new(const sl_model *m, sl_importance **ret, sl_error *e);
sl_importance *sl_importance_free(sl_importance *x); /* NULL is fine; returns NULL */

/* w is multiplied by n rows of x [..][w->cols]: those of row [n], or, if that is NULL, the first ones. A matrix that is
 * none of the model's blocks is passed over. The form of sl_forward_config.multiplied. */
void sl_importance_count(void *x, const sl_matrix *w, const float *rows, const int32_t *row, int n);

/* Adds what a file of the same model says, in either form of llama-imatrix. The older form does not say how many rows
 * its windows had: `window` is taken. */
sl_status sl_importance_add(sl_importance *x, const char *path, int window, sl_error *e);

/* For the file: the text's name; that one more window of the text was run. */
sl_status sl_importance_dataset(sl_importance *x, const char *name, sl_error *e);
void sl_importance_window(sl_importance *x);

/* Can a file of this name be written? For before the text is run. */
sl_status sl_importance_target(const sl_importance *x, const char *path, bool force, sl_error *e);

/* How many rows the experts saw. */
typedef struct sl_importance_experts {
    int experts;          /* of all layers that route */
    uint64_t least, most; /* rows of one */
    int blind, weak;      /* saw none; saw so few that their columns' sums say little */
} sl_importance_experts;
sl_importance_experts sl_importance_seen(const sl_importance *x);

/* Writes what was counted so far, whole or not at all; force: over a file that is there. window: tokens in a window.
 * What says little is noted. */
sl_status sl_importance_write(const sl_importance *x, const char *path, bool force, int window, sl_notes *notes,
                              sl_error *e);

#endif
