#include "cli/views.h"

#include "base/alloc.h"
#include "families/family.h"

#include <math.h>
#include <string.h>

/* --- formulas --- */

sl_imbalance sl_view_imbalance(const uint64_t *n, int experts) {
    sl_imbalance r = {0};
    uint64_t most = 0;
    double squares = 0, entropy = 0;
    for (int e = 0; e < experts; e++) {
        r.total += n[e];
        r.active += n[e] > 0;
        if (n[e] > most) most = n[e];
        squares += (double)n[e] * (double)n[e];
    }
    if (!r.total) return r;
    double total = (double)r.total, mean = total / experts;
    for (int e = 0; e < experts; e++)
        if (n[e]) entropy -= (double)n[e] / total * log((double)n[e] / total);
    r.max_over_mean = (double)most / mean;
    r.balancedness = mean / (double)most;
    r.jain = total * total / (experts * squares);
    r.entropy = experts > 1 ? entropy / log(experts) : 1;
    r.max_share = (double)most / total;
    return r;
}

static double sum_of(const uint64_t *n, int experts) {
    double sum = 0;
    for (int e = 0; e < experts; e++) sum += (double)n[e];
    return sum;
}

double sl_view_js(const uint64_t *p, const uint64_t *q, int experts) {
    double np = sum_of(p, experts), nq = sum_of(q, experts), js = 0;
    if (np <= 0 || nq <= 0) return NAN;
    for (int e = 0; e < experts; e++) {
        double a = (double)p[e] / np, b = (double)q[e] / nq, m = (a + b) / 2;
        if (a > 0) js += a / 2 * log2(a / m);
        if (b > 0) js += b / 2 * log2(b / m);
    }
    return js > 0 ? js : 0;
}

double sl_view_js_chance(int experts, int used, double rows_p, double rows_q) {
    if (rows_p <= 0 || rows_q <= 0) return NAN;
    return (experts - used) / (8.0 * used * log(2)) * (1 / rows_p + 1 / rows_q);
}

sl_share sl_view_share(uint64_t hits, uint64_t n) {
    if (!n) return (sl_share){.high = 1};
    static const double z = 1.959963984540054;
    double count = (double)n, p = (double)hits / count, z2 = z * z;
    double middle = p + z2 / (2 * count), half = z * sqrt(p * (1 - p) / count + z2 / (4 * count * count)), all = 1 + z2 / count;
    double low = (middle - half) / all, high = (middle + half) / all;
    return (sl_share){hits, n, p, hits ? low : 0, hits == n ? 1 : high};
}

enum { MOST_ROWS = 512 };

static int coarse(uint64_t n) {
    if (n > MOST_ROWS) return MOST_ROWS;
    int shift = 0;
    while (n >> shift >= 8) shift++;
    return (int)(n >> shift << shift);
}

/* ln of P(X = m) over P(X = 0) but for p, of n rows: ln C(n, m). */
static void log_choose(int n, double *ret) {
    ret[0] = 0;
    for (int m = 0; m < n; m++) ret[m + 1] = ret[m] + log((double)(n - m) / (m + 1));
}

double sl_view_expected_most(uint64_t rows, const double *p, int experts) {
    double choose[MOST_ROWS + 1], none_above[MOST_ROWS + 1], expected = 0; /* none_above[m]: P(every expert has at most m rows) */
    int n = coarse(rows);
    if (!n) return 0;
    log_choose(n, choose);
    for (int m = 0; m <= n; m++) none_above[m] = 1;
    for (int e = 0; e < experts; e++) {
        if (p[e] <= 0) continue;
        double sum = 0, yes = log(p[e]), no = p[e] < 1 ? log1p(-p[e]) : 0;
        for (int m = 0; m < n; m++) {
            if (p[e] < 1) sum += exp(choose[m] + m * yes + (n - m) * no);
            none_above[m] *= sum < 1 ? sum : 1;
        }
    }
    for (int m = 0; m < n; m++) expected += 1 - none_above[m];
    return expected / n;
}

double sl_chance_row(int experts, int used) { return (double)used / experts; }

double sl_chance_partner(int experts, int used) { return experts > 1 ? (double)(used - 1) / (experts - 1) : 0; }

double sl_chance_pair_lift(int experts, int used) { return sl_chance_partner(experts, used) / sl_chance_row(experts, used); }

/* --- a layer --- */

static void add_domain(const sl_views *v, int domain, int layer, uint64_t *to) {
    for (int half = 0; half < 2; half++) {
        const uint64_t *n = sl_census_load(v->census, domain, half, layer);
        for (int e = 0; e < v->experts; e++) to[e] += n[e];
    }
}

void sl_view_domain(const sl_views *v, int domain, int layer, uint64_t *ret) {
    memset(ret, 0, (size_t)v->experts * sizeof *ret);
    add_domain(v, domain, layer, ret);
}

static void measure_domains(const sl_views *v, int layer, sl_layer_view *l, uint64_t *scratch) {
    double between = 0, within = 0, chance = 0;
    int pairs = 0, halves = 0;
    uint64_t *a = scratch, *b = scratch + v->experts;
    for (int i = 0; i < v->domains; i++) {
        const sl_census *c = v->census;
        if (sl_census_rows(c, i, 0) && sl_census_rows(c, i, 1)) {
            within += sl_view_js(sl_census_load(c, i, 0, layer), sl_census_load(c, i, 1, layer), v->experts);
            halves++;
        }
        sl_view_domain(v, i, layer, a);
        for (int j = 0; j < i; j++) {
            if (!v->domain_rows[i] || !v->domain_rows[j]) continue;
            sl_view_domain(v, j, layer, b);
            between += sl_view_js(a, b, v->experts);
            chance += sl_view_js_chance(v->experts, v->used, (double)v->domain_rows[i], (double)v->domain_rows[j]);
            pairs++;
        }
    }
    l->js_between = pairs ? between / pairs : NAN;
    l->js_chance = pairs ? chance / pairs : NAN;
    l->js_within = halves ? within / halves : NAN;
}

/* load [experts]: the share of all rows that each expert has; chance [MOST_ROWS + 1]: by number of rows, NaN where not known yet. */
static sl_vocabulary vocabulary_of(const sl_views *v, sl_census_side side, int layer, const double *load, double *chance) {
    sl_vocabulary r = {0};
    for (int place = 0; place < sl_census_tokens(v->census); place++) {
        uint32_t n = sl_census_seen(v->census, side, sl_census_token(v->census, place)), most = 0;
        if (n < v->least || !n) continue;
        const uint32_t *hits = sl_census_of_token(v->census, side, place, layer);
        for (int e = 0; e < v->experts; e++)
            if (hits[e] > most) most = hits[e];
        int rows = coarse(n);
        if (isnan(chance[rows])) chance[rows] = sl_view_expected_most(n, load, v->experts);
        r.score += (double)most / n;
        r.chance += chance[rows];
        r.ids++;
    }
    r.score = r.ids ? r.score / r.ids : NAN;
    r.chance = r.ids ? r.chance / r.ids : NAN;
    return r;
}

static void measure_vocabulary(const sl_views *v, int layer, sl_layer_view *l, double *load) {
    double chance[MOST_ROWS + 1];
    for (int i = 0; i <= MOST_ROWS; i++) chance[i] = NAN;
    for (int e = 0; e < v->experts; e++) load[e] = v->rows ? (double)l->count[e] / (double)v->rows : 0;
    for (int side = 0; side < SL_CENSUS_SIDES; side++)
        l->vocabulary[side] = vocabulary_of(v, (sl_census_side)side, layer, load, chance);
}

/* The sum of the k largest. */
static double largest(const double *x, int n, int k, double *best) {
    int count = 0;
    double sum = 0;
    for (int i = 0; i < n; i++) {
        int at = count;
        while (at > 0 && x[i] > best[at - 1]) at--;
        if (at == k) continue;
        if (count < k) count++;
        for (int j = count - 1; j > at; j--) best[j] = best[j - 1];
        best[at] = x[i];
    }
    for (int i = 0; i < count; i++) sum += best[i];
    return sum;
}

/* share, best: [experts] scratch */
static sl_path path_of(const sl_views *v, int layer, const uint64_t *count, const uint64_t *next, double *share, double *best) {
    sl_path r = {0};
    double rows = (double)v->rows * v->used;
    if (rows <= 0) return r;
    for (int e = 0; e < v->experts; e++) {
        const uint32_t *to = sl_census_path(v->census, layer, e);
        double weight = (double)count[e] / rows, entropy = 0;
        if (!count[e]) continue;
        for (int i = 0; i < v->experts; i++) {
            share[i] = (double)to[i] / ((double)count[e] * v->used);
            if (share[i] > 0) entropy -= share[i] * log(share[i]);
        }
        r.entropy += weight * (v->experts > 1 ? entropy / log(v->experts) : 1);
        r.hit += weight * largest(share, v->experts, v->used, best);
    }
    for (int i = 0; i < v->experts; i++) share[i] = (double)next[i] / rows;
    r.hot = largest(share, v->experts, v->used, best);
    return r;
}

sl_status sl_views_new(const sl_census *c, int experts, int used, int domains, int kinds, uint64_t least, sl_views **ret, sl_error *e) {
    size_t layers = (size_t)sl_census_layers(c), E = (size_t)experts;
    sl_views *v = sl_calloc(1, sizeof *v);
    uint64_t *scratch = sl_calloc(2 * E + 1, sizeof *scratch);
    double *share = sl_calloc(2 * E + 1, sizeof *share);
    bool good = v && scratch && share;
    if (good) {
        *v = (sl_views){.census = c, .experts = experts, .used = used, .domains = domains, .kinds = kinds, .least = least,
                        .rows = sl_census_rows(c, -1, -1),
                        .layers = (int)layers, .domain_rows = sl_calloc((size_t)domains + 1, sizeof *v->domain_rows),
                        .layer = sl_calloc(layers + 1, sizeof *v->layer)};
        good = v->domain_rows && v->layer;
    }
    for (size_t l = 0; good && l < layers; l++) good = (v->layer[l].count = sl_calloc(E + 1, sizeof *v->layer[l].count)) != NULL;
    if (good) {
        for (int d = 0; d < domains; d++) v->domain_rows[d] = sl_census_rows(c, d, -1);
        for (int l = 0; l < v->layers; l++)
            for (int d = 0; d < domains; d++) add_domain(v, d, l, v->layer[l].count);
    }
    for (int i = 0; good && i < v->layers; i++) {
        sl_layer_view *l = &v->layer[i];
        l->layer = sl_census_layer(c, i);
        l->load = sl_view_imbalance(l->count, experts);
        measure_domains(v, i, l, scratch);
        measure_vocabulary(v, i, l, share);
        l->leads = i + 1 < v->layers;
        if (l->leads) l->path = path_of(v, i, l->count, v->layer[i + 1].count, share, share + E);
    }
    sl_free(scratch);
    sl_free(share);
    if (good) *ret = v;
    else sl_views_free(v);
    return good ? SL_OK : sl_fail(e, SL_NOMEM, "no memory for the report");
}

int sl_view_layers(const sl_views *v, int most, int *ret) {
    int n = 0;
    for (int l = 0; l < v->layers; l++)
        if (!v->chosen || v->chosen[l]) ret[n++] = l;
    if (most < 1) most = 1;
    if (n <= most) return n;
    for (int i = 0; i < most; i++) ret[i] = ret[most > 1 ? (int)((int64_t)i * (n - 1) / (most - 1)) : 0];
    return most;
}

double sl_view_mean_js(const sl_views *v, int a, int b) {
    int at[SL_MAX_LAYERS], n = sl_view_layers(v, SL_MAX_LAYERS, at);
    uint64_t x[SL_MAX_EXPERTS], y[SL_MAX_EXPERTS];
    double sum = 0;
    for (int i = 0; i < n; i++) {
        if (a == b) {
            sum += sl_view_js(sl_census_load(v->census, a, 0, at[i]), sl_census_load(v->census, a, 1, at[i]), v->experts);
            continue;
        }
        sl_view_domain(v, a, at[i], x);
        sl_view_domain(v, b, at[i], y);
        sum += sl_view_js(x, y, v->experts);
    }
    return sum / n;
}

sl_views *sl_views_free(sl_views *v) {
    if (!v) return NULL;
    for (int l = 0; v->layer && l < v->layers; l++) sl_free(v->layer[l].count);
    sl_free(v->layer);
    sl_free(v->domain_rows);
    sl_free(v);
    return NULL;
}
