/* Q2_K: the block's bytes are in scalar/q2_k.c. */
#define OFFSET 0
#define MINIMA 1
enum { BYTES = 84, TWOS = 16, THIRD = 0 };
#include "kernels/avx2/twos.h"

SL__INLINE header read_header(const uint8_t *w, size_t stride) {
    __m256i t[4];
    header h;
    sl__half_pairs8(sl__dwords8(w + 80, stride), &h.d, &h.m);
    h.m = _mm256_xor_ps(h.m, _mm256_set1_ps(-0.0f));
    sl__transpose8(w, stride, t);
    SL__UNROLL for (int i = 0; i < 4; i++) {
        h.scale[i] = sl__low_nibbles(t[i]);
        h.min[i] = sl__high_nibbles(t[i]);
    }
    return h;
}

SL__GEMM(q2_k, avx2)
