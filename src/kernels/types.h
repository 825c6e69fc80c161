/* types.h: the number formats that weights may have, and a matrix of them as the file has it.
 * Constant; any thread.
 *
 * A new weight type is one row here, one file in scalar/ and one per tier. */
#ifndef SL_KERNELS_TYPES_H
#define SL_KERNELS_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* name, ggml id, GGUF's spelling, values a block, bytes a block, quantised (products with int8 activations are integers) */
#define SL_TYPE_MAP(X)                                                                                        \
    X(F32, 0, "F32", 1, 4, 0)                                                                                 \
    X(F16, 1, "F16", 1, 2, 0)                                                                                 \
    X(BF16, 30, "BF16", 1, 2, 0)                                                                              \
    X(Q4_0, 2, "Q4_0", 32, 18, 1)                                                                             \
    X(Q4_1, 3, "Q4_1", 32, 20, 1)                                                                             \
    X(Q8_0, 8, "Q8_0", 32, 34, 1)                                                                             \
    X(Q4_K, 12, "Q4_K", 256, 144, 1)                                                                          \
    X(Q6_K, 14, "Q6_K", 256, 210, 1)

typedef enum sl_type {
#define X(name, id, text, values, bytes, quantised) SL_TYPE_##name,
    SL_TYPE_MAP(X)
#undef X
        SL_TYPE_COUNT
} sl_type;

typedef struct sl_type_info {
    const char *name;
    int ggml_id;
    int block_values, block_bytes;
    int quantised;
} sl_type_info;

extern const sl_type_info sl_types[SL_TYPE_COUNT];

/* -1: a type that Sluice does not read. */
int sl_type_from_ggml(uint32_t ggml_id);

/* A weight matrix in the mapped file: `rows` output rows of `cols` values each, y = W x. Not aligned: any address. */
typedef struct sl_matrix {
    const uint8_t *data; /* row o begins at data + o * stride; NULL: there is no such matrix */
    size_t stride;       /* bytes from one row to the next */
    int rows, cols;      /* output features, input features (K) */
    sl_type type;
} sl_matrix;

/* Does a product with it read quantised activations? */
static inline int sl_matrix_quantised(const sl_matrix *w) { return sl_types[w->type].quantised; }

#endif
