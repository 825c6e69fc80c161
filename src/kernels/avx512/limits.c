/* limits.c: what a core can multiply at best with AVX-512 VNNI, for `bench`: thirty-two weight rows of four bits against six
 * columns by the float order of Q4_K, all in the first-level cache and unpacked already. What is computed means nothing. */
enum { BYTES = 144, FIVE = 0, NIBBLES = 16 };
#include "kernels/avx512/k_blocks.h"

enum { BLOCKS = 8, COLUMNS = 6, SUPERS = 4 };

double sl__limit_multiply_avx512(int passes, float *ret) {
    panel w;
    int8_t q[COLUMNS][32 * BLOCKS];
    float a[BLOCKS];
    _Alignas(64) float tile[COLUMNS][32] = {{0}};
    sl__columns x;
    sl__ahead none = {NULL, NULL, 0};
    for (int i = 0; i < 8 * BLOCKS; i++)
        for (int h = 0; h < 2; h++) w.q[i][h] = _mm512_set1_epi8((char)((i * 7 + h) & 15));
    for (int j = 0; j < BLOCKS; j++) {
        a[j] = 0.5f;
        for (int h = 0; h < 2; h++) {
            w.scale[j][h] = sl__scales_of(_mm512_set1_ps(1));
            w.min[j][h] = w.d[h] = _mm512_set1_ps(1e-6f);
        }
    }
    for (int c = 0; c < COLUMNS; c++) {
        for (int i = 0; i < 32 * BLOCKS; i++) q[c][i] = (int8_t)((i * 13 + c) % 255 - 127);
        x.q[c] = q[c];
        x.a[c] = x.total[c] = a;
    }
    for (int i = 0; i < passes * SUPERS; i++) {
        multiply(&w, &x, 0, 32 * BLOCKS, COLUMNS, tile[0], &none);
        __asm__("" : "+m"(q), "+m"(w), "+m"(tile)); /* so that none of it is left out or moved out of the loop */
    }
    *ret = tile[0][0] + tile[COLUMNS - 1][31];
    return (double)passes * SUPERS * BLOCKS * COLUMNS * 32 * 32;
}
