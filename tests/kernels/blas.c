/* Float products: what a row's bits may depend on, on every kernel set of OpenBLAS. Promise 1 */
#include "check.h"

#include <cblas.h>
#include <sys/wait.h>
#include <unistd.h>

static void fill_floats(sl_type type, uint8_t *data, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float f = random_normal() * 0.1f;
        uint16_t half = sl_f32_to_f16(f);
        uint32_t u;
        memcpy(&u, &f, sizeof u);
        if (type == SL_TYPE_F32) memcpy(data + 4 * i, &f, 4);
        else if (type == SL_TYPE_F16) memcpy(data + 2 * i, &half, 2);
        else data[2 * i] = (uint8_t)(u >> 16), data[2 * i + 1] = (uint8_t)(u >> 24);
    }
}

/* The same matrix with K outside, every value of it followed by one of another matrix. Promise 1 */
static void check_across(const sl_kernel_table *t, const sl_matrix *w, const sl_acts *a, int n, const float *want, void *scratch) {
    size_t size = (size_t)sl_types[w->type].block_bytes, row = 2 * size * (size_t)w->rows;
    uint8_t *data = calloc((size_t)w->cols, row);
    for (int o = 0; o < w->rows; o++)
        for (int k = 0; k < w->cols; k++)
            memcpy(data + (size_t)k * row + 2 * size * (size_t)o, w->data + (size_t)o * w->stride + (size_t)k * size, size);
    sl_matrix m = {.data = data, .stride = 2 * size, .across = row, .rows = w->rows, .cols = w->cols, .type = w->type};
    guarded out = guarded_new((size_t)n * (size_t)w->rows * sizeof(float));
    t->gemm[w->type](&m, 0, w->rows, a, NULL, n, out.f, (size_t)w->rows, scratch, NULL);
    same_floats(out.f, want, (size_t)(n * w->rows), "%s %d x %d, K outside", sl_types[w->type].name, w->rows, w->cols);
    guarded_check(&out, "float product");
    guarded_free(&out);
    free(data);
}

/* Row r alone, then among others, at every place, in pieces of the matrix: always the same bits. */
static void check_matrix(const sl_kernel_table *t, sl_type type, int rows, int cols, size_t misaligned) {
    enum { N = 19 };
    size_t bytes = (size_t)sl_types[type].block_bytes * (size_t)cols, size = bytes * (size_t)rows + misaligned;
    uint8_t *data = edge(size);
    sl_matrix w = {.data = data + (misaligned ? 1 : 0), .stride = bytes, .rows = rows, .cols = cols, .type = type};
    float *x = edge((size_t)(N * cols) * sizeof *x), *row = malloc((size_t)cols * sizeof *row);
    float *alone = malloc((size_t)(N * rows) * sizeof *alone);
    void *scratch = aligned_alloc(64, (sl_kernels_scratch(&w) + 63) / 64 * 64);
    sl_acts a = {.f = x, .cols = cols};
    int32_t order[N];
    fill_floats(type, data + (misaligned ? 1 : 0), (size_t)rows * (size_t)cols);
    for (int i = 0; i < N * cols; i++) x[i] = random_normal();
    for (int r = 0; r < N; r++) t->gemm[type](&w, 0, rows, &a, &(int32_t){r}, 1, alone + r * rows, (size_t)rows, scratch, NULL);
    for (int o = 0; o < rows; o++) {
        t->widen[type](w.data + (size_t)o * w.stride, cols, row);
        for (int r = 0; r < N; r += 6) {
            double sum = 0, magnitude = 0;
            for (int k = 0; k < cols; k++) {
                sum += (double)row[k] * (double)x[r * cols + k];
                magnitude += fabs((double)row[k] * (double)x[r * cols + k]);
            }
            if (!(fabs(sum - (double)alone[r * rows + o]) <= 2e-6 * magnitude))
                fail("%s float product %d x %d: %g, should be %g", sl_types[type].name, rows, cols, (double)alone[r * rows + o], sum);
        }
    }
    for (int n = 2; n <= N; n += n < 9 ? 1 : 5) {
        int first = rows > SL_PANEL ? SL_PANEL * random_int(0, (rows - 1) / SL_PANEL) : 0;
        guarded out = guarded_new((size_t)n * (size_t)(rows - first) * sizeof(float));
        for (int i = 0; i < n; i++) order[i] = random_int(0, N - 1);
        t->gemm[type](&w, first, rows, &a, order, n, out.f, (size_t)(rows - first), scratch, NULL);
        for (int i = 0; i < n; i++)
            same_floats(out.f + i * (rows - first), alone + order[i] * rows + first, (size_t)(rows - first),
                        "%s %d x %d, OpenBLAS %s: row %d as number %d of %d", sl_types[type].name, rows, cols,
                        openblas_get_corename(), order[i], i, n);
        guarded_check(&out, "float product");
        guarded_free(&out);
    }
    check_across(t, &w, &a, N, alone, scratch);
    free(row), free(alone), free(scratch);
    edge_free(x, (size_t)(N * cols) * sizeof *x);
    edge_free(data, size);
}

void check_blas(const sl_kernel_table *t) {
    static const int shape[][2] = {{1, 64},    {8, 64},    {60, 96},   {64, 128},  {65, 256},  {128, 512},
                                   {200, 768}, {64, 2048}, {90, 1000}, {16, 4096}, {72, 4864}, {8, 14336}};
    for (size_t s = 0; s < sizeof shape / sizeof shape[0]; s++) {
        check_matrix(t, SL_TYPE_F32, shape[s][0], shape[s][1], 0);
        check_matrix(t, SL_TYPE_F32, shape[s][0], shape[s][1], 4); /* at an odd address: goes through scratch */
        check_matrix(t, SL_TYPE_F16, shape[s][0], shape[s][1], 2);
        check_matrix(t, SL_TYPE_BF16, shape[s][0], shape[s][1], 0);
    }
}

static int always(void) { return 1; }
#ifdef __x86_64__
static int has_avx(void) { return __builtin_cpu_supports("avx"); }
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
static int has_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }
static int has_fma4(void) { return __builtin_cpu_supports("fma4"); }
#endif

static const struct {
    const char *name;
    int (*runs)(void);
} sets[] = {
#ifdef __x86_64__
    {"Prescott", always},     {"Core2", always},          {"Penryn", always},         {"Nehalem", always},
    {"Atom", always},         {"Barcelona", always},      {"Bobcat", always},         {"Sandybridge", has_avx},
    {"Haswell", has_avx2},    {"Zen", has_avx2},          {"SkylakeX", has_avx512},   {"Cooperlake", has_bf16},
    {"Bulldozer", has_fma4},  {"Piledriver", has_fma4},   {"Steamroller", has_fma4},  {"Excavator", has_fma4},
#endif
};

/* OpenBLAS reads the variable when it is loaded, so each set needs a process. */
int check_blas_each(const char *self) {
    int failed = 0, ran = 0;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        int status;
        if (!sets[i].runs()) {
            printf("openblas %s: SKIPPED, this CPU lacks its instructions\n", sets[i].name);
            continue;
        }
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            setenv("OPENBLAS_CORETYPE", sets[i].name, 1);
            execl("/proc/self/exe", self, "--openblas-one", (char *)NULL);
            _exit(127);
        }
        if (child < 0 || waitpid(child, &status, 0) != child) return perror("fork"), 1;
        printf("openblas %s: %s\n", sets[i].name, status == 0 ? "kept" : "NOT KEPT");
        failed |= status != 0;
        ran++;
    }
    if (ran == 0) return 77;
    return failed;
}
