#include "kernels/ranges.h"

enum { LONGEST = 16 * SL_PANEL, RANGES_A_THREAD = 8 };

int sl_range_length(size_t rows, int threads) {
    size_t wanted = (size_t)threads * RANGES_A_THREAD;
    for (int length = LONGEST; length > SL_PANEL; length -= SL_PANEL) {
        if (rows / (size_t)length >= wanted) return length;
    }
    return SL_PANEL;
}
