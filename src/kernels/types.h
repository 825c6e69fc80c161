/* types.h: the number formats that weights may have, and a matrix of them as the file has it.
 * Constant; any thread.
 *
 * To add a quantised type
 *   1. Add its row to SL_QUANTISED_TYPES.
 *   2. Write the file that the row names in scalar/: the definition. Its opening comment draws the block's bytes; it defines
 *      sl__<file>_gemm_scalar and sl__<file>_widen_scalar. State the float order of its product in kernels.h.
 *   3. Write the same file in each tier, with the product: panels.h says at SL__GEMM what it must define. Widening stands in
 *      avx2/widen.c (avx512/ has AVX2's).
 *   4. Give the tests what they cannot know: values of the reference's own dequantisation (tests/kernels/vectors.c), which
 *      bytes of a block are half floats and what its extreme values are (tests/kernels/products.c), scales that make
 *      ordinary weights of random bytes (tests/unit/forward/random_model.h, which does not compile without).
 * A type with its scales in a plane of their own has its row in SL_PLANE_TYPES instead, no widening (sl_matrix_widen joins the
 * planes), and cannot be written.
 * Declarations, the tiers' tables and the build's lists follow from the row. What is missing, meson or the linker names. */
#ifndef SL_KERNELS_TYPES_H
#define SL_KERNELS_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* Rows: X(name, file, ggml id, values a block, bytes a block, with)
 *   name   GGUF's spelling; SL_TYPE_<name>
 *   file   the same in small letters; its functions and, where it is quantised, its files are called so
 *   with   whatever the user of the list wants handed on to each row, such as a tier's name */
#define SL_FLOAT_TYPES(X, with)                                                                               \
    X(F32, f32, 0, 1, 4, with)                                                                                \
    X(F16, f16, 1, 1, 2, with)                                                                                \
    X(BF16, bf16, 30, 1, 2, with)

/* Products with int8 activations are sums of integers. */
#define SL_QUANTISED_TYPES(X, with)                                                                           \
    X(Q4_0, q4_0, 2, 32, 18, with)                                                                            \
    X(Q4_1, q4_1, 3, 32, 20, with)                                                                            \
    X(Q5_0, q5_0, 6, 32, 22, with)                                                                            \
    X(Q5_1, q5_1, 7, 32, 24, with)                                                                            \
    X(Q8_0, q8_0, 8, 32, 34, with)                                                                            \
    X(Q2_K, q2_k, 10, 256, 84, with)                                                                          \
    X(Q3_K, q3_k, 11, 256, 110, with)                                                                         \
    X(Q4_K, q4_k, 12, 256, 144, with)                                                                         \
    X(Q5_K, q5_k, 13, 256, 176, with)                                                                         \
    X(Q6_K, q6_k, 14, 256, 210, with)                                                                         \
    X(IQ4_NL, iq4_nl, 20, 32, 18, with)                                                                       \
    X(IQ4_XS, iq4_xs, 23, 256, 136, with)                                                                     \
    X(MXFP4, mxfp4, 39, 32, 17, with)

/* The same in two planes, as Hugging Face folders have them: the blocks' bytes one after another, and apart from them the
 * scales, one byte a block. */
#define SL_PLANE_TYPES(X, with)                                                                               \
    X(MXFP4_PLANES, mxfp4_planes, -1, 32, 16, with)

#define SL_TYPE_MAP(X, with) SL_FLOAT_TYPES(X, with) SL_QUANTISED_TYPES(X, with) SL_PLANE_TYPES(X, with)

/* What the sixteen nibbles of IQ4_NL and IQ4_XS stand for: kvalues_iq4nl of ggml's src/ggml-common.h. */
#define SL_IQ4_VALUES -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113

/* Twice what the sixteen nibbles of MXFP4 stand for, which are the four-bit floats E2M1 of the Open Compute Project's
 * microscaling formats: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives (in ggml's src/ggml-common.h: kvalues_mxfp4). */
#define SL_FP4_DOUBLED 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12

typedef enum sl_type {
#define X(name, file, id, values, bytes, with) SL_TYPE_##name,
    SL_TYPE_MAP(X, )
#undef X
        SL_TYPE_COUNT
} sl_type;

typedef struct sl_type_info {
    const char *name;
    int ggml_id; /* -1: GGUF has no such type */
    int block_values, block_bytes;
    int quantised;
    int apart; /* bytes of a block that stand in a plane of their own; 0: all its bytes are together */
} sl_type_info;

extern const sl_type_info sl_types[SL_TYPE_COUNT];

/* -1: a type that Sluice does not read. */
int sl_type_from_ggml(uint32_t ggml_id);

/* A weight matrix in the mapped file: `rows` output rows of `cols` values each, y = W x. Not aligned: any address. */
typedef struct sl_matrix {
    const uint8_t *data; /* row o begins at data + o * stride; NULL: there is no such matrix */
    size_t stride;       /* bytes from one row to the next: other rows may lie between, such as those of another matrix */
    int rows, cols;      /* output features, input features (K) */
    sl_type type;
    const uint8_t *apart; /* of a type with two planes: row o's scales begin at apart + o * (stride / 16); NULL otherwise */
    size_t across;       /* of a float type whose file has K outside: bytes from one value of a row to the next; 0: they are neighbours */
} sl_matrix;

/* Can its rows be read through float pointers? */
static inline int sl_matrix_addressable(const sl_matrix *w) {
    return w->type == SL_TYPE_F32 && !w->across && (uintptr_t)w->data % sizeof(float) == 0 && w->stride % sizeof(float) == 0;
}

/* Bytes that it takes in the file, both planes; 0: there is no such matrix. */
static inline size_t sl_matrix_bytes(const sl_matrix *w) {
    const sl_type_info *t = &sl_types[w->type];
    size_t block = (size_t)(t->block_bytes + t->apart);
    return w->data ? (size_t)w->rows * (size_t)(w->cols / t->block_values) * block : 0;
}

/* Does a product with it read quantised activations? */
static inline int sl_matrix_quantised(const sl_matrix *w) { return sl_types[w->type].quantised; }

#endif
