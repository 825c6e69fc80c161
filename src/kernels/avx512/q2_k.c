/* Q2_K: the block's bytes are in scalar/q2_k.c. */
#define OFFSET 0
#define MINIMA 1
enum { BYTES = 84, TWOS = 16, THIRD = 0 };
#include "kernels/avx512/twos.h"

SL__INLINE header read_header(const uint8_t *w, size_t stride) {
    __m512i t[4], scales = sl__dwords16(w + 80, stride);
    header h;
    h.d = sl__low_halves(scales);
    h.m = _mm512_xor_ps(sl__high_halves(scales), _mm512_set1_ps(-0.0f));
    sl__transpose16(w, stride, t);
    SL__UNROLL for (int i = 0; i < 4; i++) {
        h.scale[i] = sl__low_nibbles16(t[i]);
        h.min[i] = sl__high_nibbles16(t[i]);
    }
    return h;
}

SL__GEMM(q2_k, avx512)
