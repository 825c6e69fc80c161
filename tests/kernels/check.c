/* kernel-check: every kernel of a tier against scalar, and scalar against references.
 *
 *   kernel-check [--tier NAME]     all tiers that this CPU runs, or one; exit 77: the CPU lacks it
 *   kernel-check --openblas        float products under each kernel set of OpenBLAS that this CPU runs
 *   kernel-check --bench [NAME [TYPE]]  speed of the products */
#include "check.h"

#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

int failures;
long comparisons;

void fail(const char *fmt, ...) {
    if (failures++ < 20) {
        va_list args;
        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        fputc('\n', stderr);
        va_end(args);
    }
}

uint64_t random64(void) {
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int random_int(int lo, int hi) { return lo + (int)(random64() >> 33) % (hi - lo + 1); }

float random_normal(void) {
    double s = 0;
    for (int i = 0; i < 12; i++) s += (double)(random64() >> 40) / (double)(1 << 24);
    return (float)(s - 6);
}

static size_t edge_pages(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (size + page - 1) / page * page;
}

void *edge(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = edge_pages(size);
    uint8_t *p = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p + whole, page, PROT_NONE) != 0) perror("mmap"), exit(1);
    return p + whole - size;
}

void edge_free(void *p, size_t size) {
    size_t whole = edge_pages(size);
    munmap((uint8_t *)p + size - whole, whole + (size_t)sysconf(_SC_PAGESIZE));
}

enum { GUARD = 128, MARK = 0xa5 };

guarded guarded_new(size_t bytes) {
    guarded g = {malloc(bytes + 2 * GUARD), NULL, bytes};
    memset(g.block, MARK, bytes + 2 * GUARD);
    g.f = (float *)(void *)(g.block + GUARD);
    return g;
}

void guarded_check(const guarded *g, const char *what) {
    for (size_t i = 0; i < GUARD; i++)
        if (g->block[i] != MARK || g->block[GUARD + g->bytes + i] != MARK) {
            fail("%s wrote outside its output", what);
            return;
        }
}

void guarded_free(guarded *g) { free(g->block); }

/* FNV over all expected values: builds of two compilers must print the same (tests/run compares them). */
static uint64_t digest = 14695981039346656037u;

static void digest_add(const void *data, size_t n) {
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) digest = (digest ^ p[i]) * 1099511628211u;
}

void same_floats(const float *got, const float *want, size_t n, const char *fmt, ...) {
    comparisons += (long)n;
    for (size_t i = 0; i < n; i++)
        if (!isnan(want[i])) digest_add(want + i, sizeof *want);
    for (size_t i = 0; i < n; i++) {
        if (memcmp(got + i, want + i, sizeof *got) == 0 || (isnan(got[i]) && isnan(want[i]))) continue;
        char what[200];
        va_list args;
        va_start(args, fmt);
        vsnprintf(what, sizeof what, fmt, args);
        va_end(args);
        fail("%s: [%zu] is %a, scalar %a", what, i, (double)got[i], (double)want[i]);
        return;
    }
}

void same_bytes(const void *got, const void *want, size_t n, const char *fmt, ...) {
    comparisons += (long)n;
    digest_add(want, n);
    if (memcmp(got, want, n) == 0) return;
    char what[200];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    fail("%s: bytes differ from scalar's", what);
}

const sl_kernel_table *scalar_tier(void) {
    int runs;
    return sl_kernels_tier(0, &runs);
}

static const sl_kernel_table *tier_called(const char *name, int *ret_runs) {
    const sl_kernel_table *t;
    for (int i = 0; (t = sl_kernels_tier(i, ret_runs)); i++)
        if (strcmp(t->tier, name) == 0) return t;
    return NULL;
}

static void check_choice(void) {
    sl_error e;
    if (sl_kernels_choose("scalar", &e) != SL_OK || strcmp(sl_kernels()->tier, "scalar") != 0) fail("limit scalar is not kept");
    if (sl_kernels_choose("avx3", &e) == SL_OK || !strstr(e.message, "scalar")) fail("an unknown tier does not list the known");
    if (strcmp(sl_kernels()->tier, "scalar") != 0) fail("a failed choice changed the tier");
    if (sl_kernels_choose(NULL, &e) != SL_OK) fail("no limit fails");
}

static void check_tier(const sl_kernel_table *t) {
    long before = comparisons;
    check_choice();
    if (t == scalar_tier()) check_vectors();
    if (t == scalar_tier()) check_planes();
    check_floats(t);
    check_attend(t);
    check_products(t);
    check_blas(t);
    printf("%s: %ld values compared, %d failures so far\n", t->tier, comparisons - before, failures);
    printf("%s: digest %016" PRIx64 "\n", t->tier, digest);
}

int main(int argc, char **argv) {
    const char *name = argc > 2 ? argv[2] : NULL;
    const sl_kernel_table *t;
    int runs;
    if (argc > 1 && strcmp(argv[1], "--openblas") == 0) return check_blas_each(argv[0]);
    if (argc > 1 && strcmp(argv[1], "--openblas-one") == 0) {
        check_blas(scalar_tier());
        return failures != 0;
    }
    if (argc > 1 && strcmp(argv[1], "--tier") != 0 && strcmp(argv[1], "--bench") != 0) {
        fprintf(stderr, "usage: kernel-check [--tier NAME | --openblas | --bench [NAME [TYPE]]]\n");
        return 2;
    }
    if (name && !(t = tier_called(name, &runs))) {
        fprintf(stderr, "kernel-check: no tier is called '%s'\n", name);
        return 2;
    }
    if (name && !runs) {
        fprintf(stderr, "SKIPPED: this CPU cannot run the %s kernels; they were NOT tested\n", name);
        return 77;
    }
    for (int i = 0; (t = sl_kernels_tier(i, &runs)); i++) {
        if (name && strcmp(t->tier, name) != 0) continue;
        if (!runs) fprintf(stderr, "SKIPPED: %s, which this CPU cannot run\n", t->tier);
        else if (argc > 1 && strcmp(argv[1], "--bench") == 0) bench(t, argc > 3 ? argv[3] : NULL);
        else check_tier(t);
    }
    return failures != 0;
}
