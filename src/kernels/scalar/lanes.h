/* lanes.h: the one order of float sums: sixteen lanes, then a fixed tree.
 * Pure; workers. */
#ifndef SL_KERNELS_SCALAR_LANES_H
#define SL_KERNELS_SCALAR_LANES_H

/* Lanes l and l + 8, then l and l + 4, l and l + 2, l and l + 1. */
static inline float sl__lanes_total(float lane[16]) {
    for (int step = 8; step > 0; step /= 2)
        for (int l = 0; l < step; l++) lane[l] += lane[l + step];
    return lane[0];
}

#endif
