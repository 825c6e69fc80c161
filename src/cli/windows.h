/* windows.h: texts through a model, window by window: what `perplexity` and `imatrix` share.
 * The main thread; the workers compute.
 *
 * A file is one document, or several with a zero byte between them (no text has one). A window is some tokens of a
 * document, run from position 0: it knows nothing of what stands before it. Where the vocabulary puts bos before a
 * text, the first token of every window is bos instead of its own, as llama.cpp's tools have it. */
#ifndef SL_CLI_WINDOWS_H
#define SL_CLI_WINDOWS_H

#include "base/map.h"
#include "cli/load.h"
#include "cli/options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The files, mapped. */
typedef struct sl_texts {
    sl_map *map; /* [files] */
    int files;
    uint64_t bytes;
} sl_texts;

sl_status sl_texts_open(const char *const *path, int files, sl_texts *ret, sl_error *e);
void sl_texts_close(sl_texts *t); /* zero-initialised is fine */

typedef struct sl_document {
    int file;
    const char *text; /* [len] without its zero byte; NULL: before the first */
    size_t len;
    uint64_t before; /* bytes of all texts that stand before it */
} sl_document;

/* The next document that is not empty; zero-initialise *d for the first. false: there is none. */
bool sl_texts_next(const sl_texts *t, sl_document *d);

typedef struct sl_windows sl_windows;

/* Plans memory and makes a forward pass for windows of s->engine.ctx tokens (0: 512, or what the model has if that is
 * less), which it sets, with the other choices. multiplied: forward.h's; NULL: windows are scored. The model must
 * outlive it. */
sl_status sl_windows_new(sl_settings *s, const sl_loaded *l,
                         void (*multiplied)(void *arg, const sl_matrix *w, const float *x, const int32_t *row, int n),
                         void *arg, sl_windows **ret, sl_error *e);
sl_windows *sl_windows_free(sl_windows *w); /* NULL is fine; returns NULL */

/* Runs one window, count tokens. */
void sl_windows_run(sl_windows *w, const int32_t *token, int count);

/* Runs a window of `count` tokens, and scores those from `first` (at least 1) on: the natural logarithm of the
 * probability of each after those before it, in logprob [count - first]. count is at most ctx + 1, since nothing comes
 * after the last. SL_INVALID: the model computed something that is no number. */
sl_status sl_windows_score(sl_windows *w, const int32_t *token, int count, int first, float *logprob, sl_error *e);

#endif
