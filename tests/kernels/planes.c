/* Where the planes of activations lie, and how output rows are cut into ranges. */
#include "check.h"

#include "kernels/planes.h"
#include "kernels/ranges.h"

/* Each plane holds its own numbers when all were written, and they end where the memory does. */
static void check_layout(size_t rows, int cols) {
    size_t values = rows * (size_t)cols, bytes, blocks = values / 32;
    if (!sl_planes_bytes(values, &bytes)) {
        fail("planes of %zu values have no size", values);
        return;
    }
    size_t room = (bytes + 63) / 64 * 64;
    uint8_t *memory = edge(room);
    sl_planes p = sl_planes_in(memory, values, cols);
    struct { void *at; size_t bytes; } plane[] = {{p.f, 4 * values}, {p.q, values}, {p.scale, 4 * blocks}, {p.sum, 2 * blocks},
                                                  {p.total, 4 * blocks}};
    for (int i = 0; i < 5; i++) {
        if ((uintptr_t)plane[i].at % 64 != 0) fail("%zu x %d: plane %d is not aligned", rows, cols, i);
        if ((uint8_t *)plane[i].at + plane[i].bytes > memory + bytes) fail("%zu x %d: plane %d is too long", rows, cols, i);
        memset(plane[i].at, i + 1, plane[i].bytes);
    }
    for (int i = 0; i < 5; i++)
        for (size_t k = 0; k < plane[i].bytes; k++)
            if (((uint8_t *)plane[i].at)[k] != i + 1) {
                fail("%zu x %d: plane %d has bytes of another", rows, cols, i);
                break;
            }
    sl_planes part = sl_planes_part(&p, values / 64 * 32, 32);
    if (part.f - p.f != part.q - p.q || 32 * (part.total - p.total) != part.f - p.f) fail("%zu x %d: parts are apart", rows, cols);
    if (p.cols != cols || sl_planes_row(&p, 1) != p.f + cols) fail("%zu x %d: rows are elsewhere", rows, cols);
    comparisons += 15;
    edge_free(memory, room);
}

static void check_ranges(int rows, int threads) {
    int length = sl_range_length((size_t)rows, threads), count = sl_range_count(rows, length), end = 0;
    if (length % SL_PANEL != 0 || length < SL_PANEL || length > 16 * SL_PANEL) fail("ranges of %d rows", length);
    if (length > SL_PANEL && rows / length < 8 * threads) fail("%d rows, %d threads: ranges of %d are too few", rows, threads, length);
    if (length < 16 * SL_PANEL && rows / (length + SL_PANEL) >= 8 * threads)
        fail("%d rows, %d threads: ranges of %d are too short", rows, threads, length);
    for (int i = 0; i < count; i++) {
        sl_range r = sl_range_at(rows, length, i);
        if (r.first != end || r.last <= r.first || r.last > rows) fail("%d rows: range %d is %d to %d", rows, i, r.first, r.last);
        end = r.last;
    }
    if (end != rows) fail("%d rows: ranges end at %d", rows, end);
    comparisons += 3 + 3 * count;
}

void check_planes(void) {
    static const int cols[] = {1, 31, 32, 33, 64, 96, 100, 768, 2048};
    size_t bytes;
    for (size_t c = 0; c < sizeof cols / sizeof cols[0]; c++)
        for (size_t rows = 2; rows < 40; rows = 3 * rows + 1) check_layout(rows, cols[c]);
    if (sl_planes_bytes(SIZE_MAX / 2, &bytes)) fail("planes of half of all memory have a size");
    if (sl_planes_in(NULL, 64, 32).f || sl_planes_in(NULL, 64, 32).cols != 32) fail("planes in no memory are somewhere");
    for (int rows = 1; rows < 100000; rows = rows * 5 / 3 + 1)
        for (int threads = 1; threads <= 256; threads *= 2) check_ranges(rows, threads);
}
