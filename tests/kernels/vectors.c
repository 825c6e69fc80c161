/* Dequantisation against vectors that ggml's own C code produced. A block's byte k is (37 k + 11) & 255; its half floats are
 * written over that: d = 0.5, and m (of Q4_1: -0.25; dmin of Q4_K: 0.25). */
#include "check.h"

typedef struct vector {
    sl_type type;
    float m;
    double sum, isum; /* of y[i] and of i * y[i] */
    int n;
    struct {
        int at;
        float y;
    } value[44];
} vector;

static const vector vectors[] = {
    {SL_TYPE_Q4_0, 0, -10.5, -248.5, 32,
     {{0, -1.5f}, {1, 1.0f}, {2, 3.5f}, {3, -2.0f}, {4, 0.5f}, {5, 3.0f}, {6, -2.5f}, {7, 0.0f}, {8, 2.5f}, {9,
      -3.0f}, {10, -0.5f}, {11, 2.0f}, {12, -3.5f}, {13, -1.0f}, {14, 1.5f}, {15, -4.0f}, {16, -1.5f}, {17, -0.5f},
      {18, 0.5f}, {19, 2.0f}, {20, 3.0f}, {21, -4.0f}, {22, -2.5f}, {23, -1.5f}, {24, -0.5f}, {25, 1.0f}, {26,
      2.0f}, {27, 3.0f}, {28, -3.5f}, {29, -2.5f}, {30, -1.5f}, {31, 0.0f}}},
    {SL_TYPE_Q4_1, -0.25f, 114.5, 1745.0, 32,
     {{0, 7.25f}, {1, 1.75f}, {2, 4.25f}, {3, 6.75f}, {4, 1.25f}, {5, 3.75f}, {6, 6.25f}, {7, 0.75f}, {8, 3.25f},
      {9, 5.75f}, {10, 0.25f}, {11, 2.75f}, {12, 5.25f}, {13, -0.25f}, {14, 2.25f}, {15, 4.75f}, {16, 4.25f}, {17,
      5.75f}, {18, 6.75f}, {19, -0.25f}, {20, 1.25f}, {21, 2.25f}, {22, 3.25f}, {23, 4.75f}, {24, 5.75f}, {25,
      6.75f}, {26, 0.25f}, {27, 1.25f}, {28, 2.25f}, {29, 3.75f}, {30, 4.75f}, {31, 5.75f}}},
    {SL_TYPE_Q8_0, 0, -88.0, -3952.0, 32,
     {{0, 42.5f}, {1, 61.0f}, {2, -48.5f}, {3, -30.0f}, {4, -11.5f}, {5, 7.0f}, {6, 25.5f}, {7, 44.0f}, {8, 62.5f},
      {9, -47.0f}, {10, -28.5f}, {11, -10.0f}, {12, 8.5f}, {13, 27.0f}, {14, 45.5f}, {15, -64.0f}, {16, -45.5f},
      {17, -27.0f}, {18, -8.5f}, {19, 10.0f}, {20, 28.5f}, {21, 47.0f}, {22, -62.5f}, {23, -44.0f}, {24, -25.5f},
      {25, -7.0f}, {26, 11.5f}, {27, 30.0f}, {28, 48.5f}, {29, -61.0f}, {30, -42.5f}, {31, -24.0f}}},
    {SL_TYPE_Q4_K, 0.25f, 27220.0, 3759200.0, 41,
     {{0, 157.75f}, {1, -12.75f}, {2, 64.75f}, {3, 142.25f}, {16, 157.75f}, {17, -12.75f}, {18, 64.75f}, {19,
      142.25f}, {32, 4.0f}, {33, 10.0f}, {34, 14.0f}, {35, 18.0f}, {64, 210.25f}, {65, -15.25f}, {66, 87.25f}, {67,
      189.75f}, {96, 96.5f}, {97, 5.5f}, {98, 19.5f}, {99, 33.5f}, {128, 211.5f}, {129, -3.0f}, {130, 94.5f}, {131,
      192.0f}, {160, 262.5f}, {161, 352.5f}, {162, 412.5f}, {163, -7.5f}, {192, 265.25f}, {193, -4.25f}, {194,
      118.25f}, {195, 240.75f}, {224, 0.25f}, {225, 9.25f}, {226, 15.25f}, {227, 21.25f}, {240, 15.25f}, {241,
      24.25f}, {242, 30.25f}, {243, 36.25f}, {255, 24.25f}}},
    {SL_TYPE_Q6_K, 0, 2306.0, 389904.0, 41,
     {{0, -715.5f}, {1, 848.0f}, {2, 291.5f}, {3, -265.0f}, {16, -216.0f}, {17, 256.0f}, {18, 88.0f}, {19, -80.0f},
      {32, 115.5f}, {33, -336.0f}, {34, -115.5f}, {35, 105.0f}, {64, -1520.0f}, {65, 902.5f}, {66, -522.5f}, {67,
      1092.5f}, {96, -435.0f}, {97, -565.5f}, {98, -1348.5f}, {99, -739.5f}, {128, -175.5f}, {129, 208.0f}, {130,
      71.5f}, {131, -65.0f}, {160, 335.5f}, {161, -976.0f}, {162, -335.5f}, {163, 305.0f}, {192, -242.0f}, {193,
      544.5f}, {194, -1512.5f}, {195, 302.5f}, {224, 423.0f}, {225, 352.5f}, {226, 305.5f}, {227, -117.5f}, {240,
      65.0f}, {241, -30.0f}, {242, -120.0f}, {243, -130.0f}, {255, -30.0f}}},
};

static void put(uint8_t *p, float x) {
    uint16_t half = sl_f32_to_f16(x);
    p[0] = (uint8_t)half;
    p[1] = (uint8_t)(half >> 8);
}

void check_vectors(void) {
    for (size_t v = 0; v < sizeof vectors / sizeof vectors[0]; v++) {
        const vector *want = vectors + v;
        const sl_type_info *info = sl_types + want->type;
        uint8_t block[512];
        float y[256];
        double sum = 0, isum = 0;
        for (int k = 0; k < info->block_bytes; k++) block[k] = (uint8_t)(37 * k + 11);
        put(block + half_of[want->type].d, 0.5f);
        if (half_of[want->type].m) put(block + half_of[want->type].m, want->m);
        scalar_tier()->widen[want->type](block, info->block_values, y);
        for (int i = 0; i < info->block_values; i++) sum += (double)y[i], isum += i * (double)y[i];
        for (int i = 0; i < want->n; i++)
            if (y[want->value[i].at] != want->value[i].y)
                fail("%s: value %d is %g, should be %g", info->name, want->value[i].at, (double)y[want->value[i].at],
                     (double)want->value[i].y);
        if (sum != want->sum || isum != want->isum) fail("%s: sums %g %g", info->name, sum, isum);
        comparisons += want->n;
    }
}
