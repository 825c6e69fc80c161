/* convert.h: a model, in a folder or a GGUF file, to a GGUF file of another type.
 * A process of its own: one thread calls, its own workers compute.
 *
 * Invariants
 *   1. The new file (or every one of its parts) is there whole, or it is not there: see output.c. A part of several is named
 *      before the first one, without which they are no model.
 *   2. Memory is bounded by the largest row and a constant: a tensor is read, converted and written in pieces.
 *   3. A tensor whose type stays is copied bit for bit.
 *   4. Before it gets its name, the file is opened once more and has to say the same model as the source. */
#ifndef SL_CONVERT_CONVERT_H
#define SL_CONVERT_CONVERT_H

#include "base/error.h"
#include "base/notes.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct sl_convert_progress {
    uint64_t done, total; /* bytes of the new file's tensors */
    int tensor, tensors;  /* the one being written, from 1 */
    const char *name;     /* of that tensor */
} sl_convert_progress;

/* Called some times a second; false stops the conversion: SL_CANCELLED, and nothing is left of it. */
typedef bool sl_convert_tell(void *arg, const sl_convert_progress *p);

typedef struct sl_convert_config {
    const char *src, *dst;
    const char *type;    /* "q8_0", "q4_k_m", …: mix.c */
    const char *imatrix; /* file of importances; "": none */
    int threads;         /* 0: as the machine allows */
    int64_t split_size;  /* bytes of tensors in a part at most; 0: one file */
    bool force;          /* replace what is there */
    sl_convert_tell *tell; /* NULL: nobody listens */
    void *arg;
} sl_convert_config;

typedef struct sl_convert_report {
    uint64_t bytes; /* of tensors */
    int tensors, files;
    sl_notes notes; /* what was done otherwise than asked, and what readers of the file should know */
} sl_convert_report;

/* Notes are filled on failure too. SL_MISUSE: an option is wrong. */
sl_status sl_convert(const sl_convert_config *c, sl_convert_report *ret, sl_error *e);

#endif
