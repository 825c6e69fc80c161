/* Speed of the quantised products on experts that lie in memory beyond the caches and are visited in random order, beside
 * what the machine can do at best: a plain read of the same experts in the same order, and the multiply-adds of the
 * limit loop. The three are measured in turn, in the threads' own processor time, and medians are printed, because
 * machines are shared.
 *   GB/s    of weights        read   of the plain read
 *   GMAC/s  multiply-adds     q4     of the limit loop
 *   roof    of the time that the slower of the two limits would take */
#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, MOST_ROWS = 256, THREADS = 64, PASSES = 2000 };

typedef struct work {
    const sl_kernel_table *t;
    uint8_t *memory;
    uint8_t *apart; /* scales of a type with two planes; NULL otherwise */
    size_t expert_bytes;
    sl_matrix shape; /* without data */
    sl_acts x;
    float *out[THREADS];
    const int *order;
    int experts; /* to visit */
    int n;       /* activation rows; 0: read only */
    atomic_int next, thread;
    double spent[THREADS];    /* processor seconds */
    double products[THREADS]; /* of the limit loop */
    _Atomic uint64_t read;    /* what the limit loops return, so that they are not left out */
    float sum[THREADS];
} work;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *run_thread(void *arg) {
    work *w = arg;
    int self = atomic_fetch_add(&w->thread, 1);
    double start = now();
    for (int i; (i = atomic_fetch_add(&w->next, 1)) < w->experts;) {
        sl_matrix m = w->shape;
        m.data = w->memory + (size_t)w->order[i] * w->expert_bytes;
        if (w->apart) m.apart = w->apart + (size_t)w->order[i] * w->expert_bytes / 16;
        if (w->n == 0) w->read += w->t->limit_read(m.data, w->expert_bytes);
        for (int first = 0; w->n && first < m.rows; first += 128) {
            int last = first + 128 < m.rows ? first + 128 : m.rows;
            w->t->gemm[m.type](&m, first, last, &w->x, NULL, w->n, w->out[self] + first, (size_t)m.rows, NULL, NULL);
        }
    }
    w->spent[self] = now() - start;
    return NULL;
}

static void *limit_thread(void *arg) {
    work *w = arg;
    int self = atomic_fetch_add(&w->thread, 1);
    double start = now();
    w->products[self] = w->t->limit_multiply(PASSES, &w->sum[self]);
    w->spent[self] = now() - start;
    return NULL;
}

/* Seconds that a thread took in the mean. */
static double measure(void *(*f)(void *), work *w, int threads) {
    pthread_t id[THREADS];
    double sum = 0;
    atomic_store(&w->next, 0);
    atomic_store(&w->thread, 0);
    for (int i = 0; i < threads; i++) pthread_create(id + i, NULL, f, w);
    for (int i = 0; i < threads; i++) pthread_join(id[i], NULL);
    for (int i = 0; i < threads; i++) sum += w->spent[i];
    return sum / threads;
}

static double run(work *w, int n, int experts, int threads) {
    w->n = n;
    w->experts = experts;
    return measure(run_thread, w, threads);
}

static int less(const void *a, const void *b) {
    double d = *(const double *)a - *(const double *)b;
    return d < 0 ? -1 : d > 0;
}

static double median(double *v, int n) {
    qsort(v, (size_t)n, sizeof *v, less);
    return v[n / 2];
}

static void bench_type(work *w, int *order, size_t size, int threads) {
    static const int counts[] = {1, 2, 3, 4, 5, 6, 8, 16, 32, 128};
    const sl_type_info *info = sl_types + w->shape.type;
    int all;
    w->shape.stride = row_bytes(w->shape.type, w->shape.cols);
    w->expert_bytes = w->shape.stride * (size_t)w->shape.rows;
    all = (int)(size / w->expert_bytes);
    for (int i = 0; i < all; i++) order[i] = i;
    for (int i = all - 1; i > 0; i--) {
        int j = random_int(0, i), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        int n = counts[c], experts = all / n < 32 ? 32 : all / n > all / 2 ? all / 2 : all / n;
        double read[ROUNDS], product[ROUNDS], limit[ROUNDS];
        double bytes = (double)w->expert_bytes * experts;
        double macs = (double)w->shape.rows * w->shape.cols * experts * n;
        for (int r = 0; r < ROUNDS; r++) {
            w->order = order + random_int(0, all - experts);
            read[r] = run(w, 0, experts, threads);
            limit[r] = measure(limit_thread, w, threads);
            w->order = order + random_int(0, all - experts);
            product[r] = run(w, n, experts, threads);
        }
        double t = median(product, ROUNDS), tr = median(read, ROUNDS);
        double rate = threads * w->products[0] / median(limit, ROUNDS), tm = macs / rate;
        printf("%-7s %-5s %4d x %-5d %d thr n %3d: %6.1f GB/s %.2f read | %7.1f GMAC/s %.2f q4 | %.2f roof (%.1f GB/s, %.0f GMAC/s)\n",
               w->t->tier, info->name, w->shape.rows, w->shape.cols, threads, n, bytes / t * 1e-9, tr / t, macs / t * 1e-9, tm / t,
               (tr > tm ? tr : tm) / t, bytes / tr * 1e-9, rate * 1e-9);
        fflush(stdout);
    }
}

int bench(const sl_kernel_table *t, const char *only) {
    static const int shapes[][2] = {{768, 2048}, {2048, 768}};
    size_t size = (size_t)1 << 30;
    int threads = (int)sysconf(_SC_NPROCESSORS_ONLN), cols = 2048;
    work w = {.t = t};
    int *order = malloc(100000 * sizeof *order);
    int8_t *q = malloc((size_t)MOST_ROWS * (size_t)cols);
    float *scale = malloc((size_t)(MOST_ROWS * cols / 32) * sizeof *scale), *f = malloc((size_t)cols * sizeof *f);
    int16_t *sum = malloc((size_t)(MOST_ROWS * cols / 32) * sizeof *sum);
    float *total = malloc((size_t)(MOST_ROWS * cols / 32) * sizeof *total);
    int16_t *pairs = malloc((size_t)(MOST_ROWS * cols / 8) * sizeof *pairs);
    if (threads > THREADS) threads = THREADS;
    w.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (w.memory == MAP_FAILED) return perror("mmap"), 1;
    madvise(w.memory, size, MADV_HUGEPAGE);
    for (int i = 0; i < threads; i++) w.out[i] = malloc((size_t)MOST_ROWS * 2048 * sizeof(float));
    for (int type = 0; type < SL_TYPE_COUNT; type++) {
        if (!sl_types[type].quantised || (only && strcmp(only, sl_types[type].name) != 0)) continue;
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            w.shape = (sl_matrix){.rows = shapes[s][0], .cols = shapes[s][1], .type = (sl_type)type};
            w.apart = sl_types[type].apart ? memset(malloc(size / 16), 120, size / 16) : NULL;
            w.x = (sl_acts){NULL, q, scale, sum, total, pairs, w.shape.cols};
            size_t row = row_bytes(w.shape.type, w.shape.cols), rows = size / row, k = (size_t)w.shape.cols;
            fill_rows(w.shape.type, w.memory, 2048, w.shape.cols, row, SCALES_SMALL, FILL_RANDOM);
            for (size_t r = 2048; r < rows; r += 2048)
                memcpy(w.memory + r * row, w.memory, (rows - r < 2048 ? rows - r : 2048) * row);
            for (int r = 0; r < MOST_ROWS; r++) {
                for (size_t i = 0; i < k; i++) f[i] = random_normal();
                size_t block = (size_t)r * k / 32;
                t->quantize(f, w.shape.cols, q + (size_t)r * k, scale + block, sum + block, total + block, pairs + 4 * block);
            }
            bench_type(&w, order, size, 1);
            if (threads > 1) bench_type(&w, order, size, threads);
            free(w.apart);
        }
    }
    for (int i = 0; i < threads; i++) free(w.out[i]);
    munmap(w.memory, size);
    free(order), free(q), free(scale), free(f), free(sum), free(total), free(pairs);
    return 0;
}
