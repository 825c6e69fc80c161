#include "experts/router.h"

#include "kernels/kernels.h"

/* Does score a, of the higher expert number, beat score b? NaN loses against every number and ties with NaN. */
static bool beats(float a, float b) { return a > b || (b != b && a == a); }

/* The `used` best scores, best first. */
static void top(const float *scores, int experts, int used, int32_t *best) {
    int n = 0;
    for (int e = 0; e < experts; e++) {
        int at = n;
        while (at > 0 && beats(scores[e], scores[best[at - 1]])) at--;
        if (at == used) continue;
        if (n < used) n++;
        for (int i = n - 1; i > at; i--) best[i] = best[i - 1];
        best[at] = e;
    }
}

static void sort_ascending(int32_t *a, int n) {
    for (int i = 1; i < n; i++) {
        int32_t v = a[i];
        int at = i;
        for (; at > 0 && a[at - 1] > v; at--) a[at] = a[at - 1];
        a[at] = v;
    }
}

void sl_router_pick(const sl_router_rule *rule, float *scores, int32_t *expert, float *weight) {
    switch (rule->score) {
    case SL_ROUTER_SOFTMAX: sl_kernels()->softmax(scores, rule->experts); break;
    }
    top(scores, rule->experts, rule->used, expert);
    float sum = 0; /* best first, as the reference adds them */
    for (int i = 0; i < rule->used; i++) sum += scores[expert[i]];
    sort_ascending(expert, rule->used);
    for (int i = 0; i < rule->used; i++) {
        float score = scores[expert[i]];
        weight[i] = rule->norm == SL_ROUTER_SUM ? score / sum : score;
    }
}
