/* limit_multiply.c: what a core can multiply at best with the sums of products.h, for `bench`: sixteen weight rows of four bits
 * against three columns by the float order of Q4_K. All of it lies in the first-level cache, the weights unpacked and the
 * activations spread over whole vectors already, so that nothing but the rule itself is done. What is computed means nothing. */
enum { BYTES = 144, FIVE = 0, NIBBLES = 16 };
#include "kernels/avx2/k_blocks.h"

enum { BLOCKS = 8, COLUMNS = 3, SUPERS = 8 };

typedef struct operands {
    panel w;
    __m256i x[COLUMNS][8 * BLOCKS]; /* four activations in every dword */
    float a[COLUMNS][BLOCKS], total[COLUMNS][BLOCKS];
} operands;

static void fill(operands *o) {
    for (int i = 0; i < 8 * BLOCKS; i++) {
        for (int h = 0; h < 2; h++) o->w.q[i][h] = _mm256_set1_epi8((char)((i * 7 + h) & 15));
        for (int c = 0; c < COLUMNS; c++) o->x[c][i] = _mm256_set1_epi8((char)((i * 13 + c) % 255 - 127));
    }
    for (int h = 0; h < 2; h++) o->w.d[h] = _mm256_set1_ps(1e-6f);
    for (int j = 0; j < BLOCKS; j++) {
        for (int h = 0; h < 2; h++) {
            o->w.scale[j][h] = sl__ones();
            o->w.min[j][h] = _mm256_set1_ps(1e-6f);
        }
        for (int c = 0; c < COLUMNS; c++) o->a[c][j] = o->total[c][j] = 0.5f;
    }
}

SL__INLINE void multiply_block(const operands *o, int j, __m256 sum[COLUMNS][2]) {
    __m256i narrow[COLUMNS][2];
    SL__UNROLL for (int c = 0; c < COLUMNS; c++) narrow[c][0] = narrow[c][1] = _mm256_set1_epi32(SL__SCALED_START);
    SL__UNROLL for (int i = 0; i < 8; i++) {
        __m256i w0 = o->w.q[8 * j + i][0], w1 = o->w.q[8 * j + i][1];
        SL__UNROLL for (int c = 0; c < COLUMNS; c++) {
            narrow[c][0] = sl__add_dot(narrow[c][0], w0, o->x[c][8 * j + i]);
            narrow[c][1] = sl__add_dot(narrow[c][1], w1, o->x[c][8 * j + i]);
            SL__IN_ORDER(narrow[c][0]);
            SL__IN_ORDER(narrow[c][1]);
        }
    }
    SL__UNROLL for (int c = 0; c < COLUMNS; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) {
            __m256i isum = sl__ended(narrow[c][h], o->w.scale[j][h]);
            sum[c][h] = _mm256_fmadd_ps(_mm256_set1_ps(o->a[c][j]), sl__scaled(isum, o->w.scale[j][h]), sum[c][h]);
        }
}

SL__INLINE void multiply_super_block(const operands *o, __m256 acc[COLUMNS][2]) {
    __m256 sum[COLUMNS][2];
    SL__UNROLL for (int c = 0; c < COLUMNS; c++) sum[c][0] = sum[c][1] = _mm256_setzero_ps();
    for (int j = 0; j < BLOCKS; j++) multiply_block(o, j, sum);
    for (int j = 0; j < BLOCKS; j++)
        SL__UNROLL for (int c = 0; c < COLUMNS; c++)
            SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm256_fmadd_ps(o->w.min[j][h], _mm256_set1_ps(o->total[c][j]), acc[c][h]);
    SL__UNROLL for (int c = 0; c < COLUMNS; c++)
        SL__UNROLL for (int h = 0; h < 2; h++) acc[c][h] = _mm256_fmadd_ps(o->w.d[h], sum[c][h], acc[c][h]);
}

static double multiply_passes(int passes, float *ret) {
    operands o;
    __m256 acc[COLUMNS][2] = {{_mm256_setzero_ps()}};
    fill(&o);
    for (int i = 0; i < passes * SUPERS; i++) {
        multiply_super_block(&o, acc);
        SL__IN_MEMORY(o); /* so that what is the same each time is not moved out of the loop */
    }
    for (int c = 1; c < COLUMNS; c++) acc[0][0] = _mm256_add_ps(acc[0][0], _mm256_add_ps(acc[c][0], acc[c][1]));
    *ret = _mm256_cvtss_f32(_mm256_add_ps(acc[0][0], acc[0][1]));
    return (double)passes * SUPERS * BLOCKS * COLUMNS * 16 * 32;
}

#define DEFINE(tier) DEFINE_OF(tier) /* the tier is a macro */
#define DEFINE_OF(tier)                                                                                                \
    double sl__limit_multiply_##tier(int passes, float *ret) { return multiply_passes(passes, ret); }
DEFINE(SL__TIER)
