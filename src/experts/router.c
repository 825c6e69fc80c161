#include "experts/router.h"

#include "base/fmath.h"
#include "kernels/kernels.h"

#include <math.h>

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

static void score(sl_router_score how, float *z, int n) {
    switch (how) {
    case SL_ROUTER_SOFTMAX: sl_kernels()->softmax(z, n); break;
    case SL_ROUTER_SIGMOID:
        for (int e = 0; e < n; e++) z[e] = 1 / (1 + sl_expf(-z[e]));
        break;
    case SL_ROUTER_LOGIT:
    case SL_ROUTER_SPARSEMIXER: break;
    }
}

/* Takes the experts of all groups but the best ones out of the choice. */
static void keep_best_groups(const sl_router_rule *rule, float *choice) {
    float group[SL_MAX_EXPERTS / 2];
    int32_t best[SL_MAX_EXPERTS / 2], two[2];
    int size = rule->experts / rule->groups;
    for (int g = 0; g < rule->groups; g++) {
        const float *c = choice + g * size;
        top(c, size, 2, two);
        group[g] = c[two[0]] + c[two[1]];
    }
    top(group, rule->groups, rule->groups_used, best);
    sort_ascending(best, rule->groups_used);
    for (int g = 0, kept = 0; g < rule->groups; g++) {
        if (kept < rule->groups_used && best[kept] == g) kept++;
        else
            for (int e = g * size; e < (g + 1) * size; e++) choice[e] = -INFINITY;
    }
}

/* The best expert's share among those that come near it; `without`: one that is left out, -1: none. */
static float share_of_best(const sl_router_rule *rule, const float *z, int without, int32_t *ret) {
    int best = -1;
    for (int e = 0; e < rule->experts; e++)
        if (e != without && (best < 0 || beats(z[e], z[best]))) best = e;
    float sum = 0, most = z[best];
    for (int e = 0; e < rule->experts; e++) {
        float size = fabsf(z[e]) > most ? fabsf(z[e]) : most;
        if (e != without && !((most - z[e]) / size > 2 * rule->eps)) sum += sl_expf(z[e] - most);
    }
    *ret = best;
    return 1 / sum;
}

static void mix_sparsely(const sl_router_rule *rule, const float *z, int32_t *expert, float *weight) {
    int32_t first, second;
    float a = share_of_best(rule, z, -1, &first) * rule->scale, b = share_of_best(rule, z, first, &second) * rule->scale;
    bool ascending = first < second;
    expert[0] = ascending ? first : second, expert[1] = ascending ? second : first;
    weight[0] = ascending ? a : b, weight[1] = ascending ? b : a;
}

/* Scores of the chosen to weights. expert [used], best first. */
static float divisor(const sl_router_rule *rule, float *scores, const int32_t *expert) {
    float sum = 0; /* best first, as the reference adds them */
    if (rule->norm == SL_ROUTER_SHARE) {
        float best = scores[expert[0]];
        for (int i = 0; i < rule->used; i++) scores[expert[i]] = sl_expf(scores[expert[i]] - best);
    }
    for (int i = 0; rule->norm == SL_ROUTER_SQUASH && i < rule->used; i++) scores[expert[i]] = 1 / (1 + sl_expf(-scores[expert[i]]));
    for (int i = 0; i < rule->used; i++) sum += scores[expert[i]];
    switch (rule->norm) {
    case SL_ROUTER_KEEP:
    case SL_ROUTER_SQUASH: return 1;
    case SL_ROUTER_SUM: return sum + rule->eps;
    case SL_ROUTER_SUM_LEAST: return sum > rule->eps ? sum : rule->eps;
    case SL_ROUTER_SHARE: break;
    }
    return sum;
}

static void scale_by_expert(const sl_router_rule *rule, const int32_t *expert, float *weight) {
    for (int i = 0; rule->expert_scale && i < rule->used; i++) weight[i] *= rule->expert_scale[expert[i]];
}

void sl_router_pick(const sl_router_rule *rule, float *scores, int32_t *expert, float *weight) {
    if (rule->score == SL_ROUTER_SPARSEMIXER) {
        mix_sparsely(rule, scores, expert, weight);
        scale_by_expert(rule, expert, weight);
        return;
    }
    bool grouped = rule->groups > rule->groups_used;
    float own[SL_MAX_EXPERTS], *choice = rule->bias || grouped ? own : scores;
    score(rule->score, scores, rule->experts);
    for (int e = 0; choice == own && e < rule->experts; e++) own[e] = rule->bias ? scores[e] + rule->bias[e] : scores[e];
    if (grouped) keep_best_groups(rule, choice);
    top(choice, rule->experts, rule->used, expert);
    float by = divisor(rule, scores, expert);
    sort_ascending(expert, rule->used);
    for (int i = 0; i < rule->used; i++) weight[i] = scores[expert[i]] / by * rule->scale;
    scale_by_expert(rule, expert, weight);
}
