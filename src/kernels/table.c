/* table.c: which tiers there are, which of them this CPU runs, and the one that was chosen. */
#include "kernels/internal.h"

#include <cblas.h>
#include <stdio.h>

static int always(void) { return 1; }

#ifdef SL_HAVE_AVX2
#include <cpuid.h>

/* The compiler's test includes whether the operating system saves the wide registers. It does not know F16C by name. */
static int has_avx2(void) {
    unsigned a, b, c, d;
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __get_cpuid(1, &a, &b, &c, &d) &&
           (c & bit_F16C);
}
#endif

#ifdef SL_HAVE_AVX_VNNI
/* Not known to every compiler's test by name. */
static int has_avx_vnni(void) {
    unsigned a, b, c, d;
    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1u << 4);
}
#endif

#ifdef SL_HAVE_AVX512
static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
}
#endif

/* Slowest first. */
static const struct {
    const sl_kernel_table *table;
    int (*runs)(void);
} tiers[] = {
    {&sl__kernels_scalar, always},
#ifdef SL_HAVE_AVX2
    {&sl__kernels_avx2, has_avx2},
#endif
#ifdef SL_HAVE_AVX_VNNI
    {&sl__kernels_avx_vnni, has_avx_vnni},
#endif
#ifdef SL_HAVE_AVX512
    {&sl__kernels_avx512, has_avx512},
#endif
};
enum { TIERS = sizeof tiers / sizeof tiers[0] };

static const sl_kernel_table *chosen = &sl__kernels_scalar;

const sl_kernel_table *sl_kernels(void) { return chosen; }

const sl_kernel_table *sl_kernels_tier(int i, int *ret_runs) {
    if (i < 0 || i >= TIERS) return NULL;
    *ret_runs = tiers[i].runs();
    return tiers[i].table;
}

/* "scalar, avx2": the tiers that this CPU runs. */
static void list_tiers(char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < TIERS; i++) {
        if (!tiers[i].runs()) continue;
        int wrote = snprintf(text + used, size - used, "%s%s", used ? ", " : "", tiers[i].table->tier);
        if (wrote < 0 || (size_t)wrote >= size - used) return;
        used += (size_t)wrote;
    }
}

sl_status sl_kernels_choose(const char *limit, sl_error *e) {
    char names[128];
    int best = -1, last = TIERS - 1;
    if (limit && limit[0]) {
        for (last = TIERS - 1; last >= 0 && strcmp(tiers[last].table->tier, limit) != 0; last--) {}
        list_tiers(names, sizeof names);
        if (last < 0) return sl_fail(e, SL_INVALID, "no kernels are called '%s'; this CPU runs: %s", limit, names);
        if (!tiers[last].runs())
            return sl_fail(e, SL_UNSUPPORTED, "this CPU cannot run the %s kernels; it runs: %s", limit, names);
    }
    for (int i = 0; i <= last; i++)
        if (tiers[i].runs()) best = i;
    openblas_set_num_threads(1);
    chosen = tiers[best].table;
    return SL_OK;
}
