#include "cli/survey.h"

#include "cli/kinds.h"

#include <math.h>
#include <string.h>

/* The survey for programs. Every name that is written here is in docs/experts.md, and stays. */

static const char *const side_names[SL_CENSUS_SIDES] = {"input", "predicted", "next"};

enum { MOST_FINDS = 100 };

static void put_string(const char *key, const char *value, sl_buffer *out) {
    sl_buffer_printf(out, "\"%s\":", key);
    if (value) sl_buffer_json(out, value, strlen(value));
    else sl_buffer_puts(out, "null");
}

/* null for what there is none of. */
static void put_real(const char *key, double x, sl_buffer *out) {
    if (isfinite(x)) sl_buffer_printf(out, "\"%s\":%.9g", key, x);
    else sl_buffer_printf(out, "\"%s\":null", key);
}

static void put_count(const char *key, uint64_t x, sl_buffer *out) { sl_buffer_printf(out, "\"%s\":%llu", key, (unsigned long long)x); }

static void put_counts64(const uint64_t *n, int count, sl_buffer *out) {
    for (int i = 0; i < count; i++) sl_buffer_printf(out, "%s%llu", i ? "," : "[", (unsigned long long)n[i]);
    sl_buffer_puts(out, count ? "]" : "[]");
}

static void put_counts32(const uint32_t *n, int count, sl_buffer *out) {
    for (int i = 0; i < count; i++) sl_buffer_printf(out, "%s%u", i ? "," : "[", n[i]);
    sl_buffer_puts(out, count ? "]" : "[]");
}

static void put_share(sl_share s, sl_buffer *out) {
    sl_buffer_printf(out, "\"count\":%llu,\"of\":%llu,\"share\":%.9g,\"low\":%.9g,\"high\":%.9g", (unsigned long long)s.hits,
                     (unsigned long long)s.n, s.share, s.low, s.high);
}

/* --- the head --- */

static void put_model(const sl_survey *v, sl_buffer *out) {
    const sl_model *m = v->model;
    sl_buffer_puts(out, "\"model\":{");
    put_string("name", m->name, out);
    sl_buffer_puts(out, ",");
    put_string("path", m->path, out);
    sl_buffer_puts(out, ",");
    put_string("family", m->family->name, out);
    sl_buffer_puts(out, ",");
    put_string("type", m->type, out);
    sl_buffer_printf(out, ",\"layers\":%d,\"experts\":%d,\"experts_per_token\":%d,\"shared_experts\":%s,\"routed_layers\":[", m->hp.layers,
                     m->hp.experts, m->hp.experts_used, m->hp.shared_ff ? "true" : "false");
    for (int l = 0; l < v->views->layers; l++) sl_buffer_printf(out, "%s%d", l ? "," : "", v->views->layer[l].layer);
    sl_buffer_puts(out, "]}");
}

static void put_settings(const sl_survey *v, sl_buffer *out) {
    sl_buffer_printf(out,
                     ",\"phase\":\"prefill\",\"complete\":%s,\"settings\":{\"tokens\":%lld,\"context\":%d,\"prefix\":%d,"
                     "\"min_count\":%llu,\"top\":%lld,"
                          "\"kv_type\":\"%s\",\"tier\":\"%s\"}",
                     v->complete ? "true" : "false", (long long)v->s->tokens, v->context, v->prefix, (unsigned long long)v->views->least,
                     (long long)v->s->top, v->s->kv_type, sl_kernels()->tier);
    sl_buffer_puts(out, ",");
    put_count("tokens", v->views->rows, out);
    sl_buffer_puts(out, ",");
    put_count("memory_bytes", v->memory, out);
    sl_buffer_puts(out, ",");
    put_count("counter_bytes", v->counters, out);
}

static void put_chance(const sl_survey *v, sl_buffer *out) {
    int experts = v->views->experts, used = v->views->used;
    sl_buffer_puts(out, ",\"chance\":{");
    put_real("load", 1.0 / experts, out);
    sl_buffer_puts(out, ",");
    put_real("token", sl_chance_row(experts, used), out);
    sl_buffer_puts(out, ",");
    put_real("domain", sl_chance_row(experts, used), out);
    sl_buffer_puts(out, ",");
    put_real("path", sl_chance_row(experts, used), out);
    sl_buffer_puts(out, ",");
    put_real("coactivation", sl_chance_partner(experts, used), out);
    sl_buffer_puts(out, ",");
    put_real("coactivation_lift", sl_chance_pair_lift(experts, used), out);
    sl_buffer_puts(out, "}");
}

static void put_domains(const sl_survey *v, sl_buffer *out) {
    sl_buffer_puts(out, ",\"domains\":[");
    for (int d = 0; d < v->corpus->domains; d++) {
        const sl_domain *domain = &v->corpus->domain[d];
        sl_buffer_puts(out, d ? ",{" : "{");
        put_string("name", domain->name, out);
        sl_buffer_puts(out, ",");
        put_count("tokens", v->views->domain_rows[d], out);
        sl_buffer_printf(out, ",\"more\":%s,\"predicted_right\":%llu,\"predicted\":%llu,\"files\":[", domain->more ? "true" : "false",
                         (unsigned long long)v->right[d], (unsigned long long)v->followed[d]);
        for (int i = 0; i < domain->files; i++) {
            sl_buffer_puts(out, i ? "," : "");
            sl_buffer_json(out, domain->file[i], strlen(domain->file[i]));
        }
        sl_buffer_puts(out, "]}");
    }
    sl_buffer_puts(out, "],\"kinds\":[");
    for (int k = 0; k < SL_KINDS; k++)
        sl_buffer_printf(out, "%s{\"name\":\"%s\",\"tokens\":%llu}", k ? "," : "", sl_kind_names[k],
                         (unsigned long long)sl_census_kind_rows(v->census, k));
    sl_buffer_printf(out, "],\"vocabulary\":{\"ids\":%d,", sl_census_tokens(v->census));
    for (int side = 0; side < SL_CENSUS_SIDES; side++) {
        sl_buffer_puts(out, side ? "," : "\"covered\":{");
        put_real(side_names[side], v->covered[side], out);
    }
    sl_buffer_puts(out, "}}");
}

/* --- a layer --- */

static void put_imbalance(const sl_layer_view *l, int experts, sl_buffer *out) {
    const sl_imbalance *b = &l->load;
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"max_over_mean", b->max_over_mean}, {"balancedness", b->balancedness}, {"jain", b->jain},
                   {"entropy", b->entropy}, {"max_share", b->max_share}};
    sl_buffer_puts(out, ",\"imbalance\":{");
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        put_real(numbers[i].key, numbers[i].value, out);
        sl_buffer_puts(out, ",");
    }
    sl_buffer_printf(out, "\"active\":%d,\"dead\":[", b->active);
    for (int e = 0, first = 1; e < experts; e++)
        if (!l->count[e]) {
            sl_buffer_printf(out, "%s%d", first ? "" : ",", e);
            first = 0;
        }
    sl_buffer_puts(out, "]}");
}

static void put_layer_domains(const sl_survey *v, int at, sl_buffer *out) {
    const sl_views *w = v->views;
    const sl_layer_view *l = &w->layer[at];
    uint64_t a[SL_MAX_EXPERTS], b[SL_MAX_EXPERTS];
    sl_buffer_puts(out, ",\"domains\":{\"counts\":[");
    for (int d = 0; d < w->domains; d++) {
        sl_view_domain(w, d, at, a);
        sl_buffer_puts(out, d ? "," : "");
        put_counts64(a, w->experts, out);
    }
    sl_buffer_puts(out, "],\"js\":[");
    for (int i = 0; i < w->domains; i++) {
        sl_view_domain(w, i, at, a);
        sl_buffer_puts(out, i ? ",[" : "[");
        for (int j = 0; j < w->domains; j++) {
            sl_view_domain(w, j, at, b);
            double js = sl_view_js(a, b, w->experts);
            sl_buffer_printf(out, j ? "," : "");
            if (isfinite(js)) sl_buffer_printf(out, "%.9g", js);
            else sl_buffer_puts(out, "null");
        }
        sl_buffer_puts(out, "]");
    }
    sl_buffer_puts(out, "],\"js_halves\":[");
    for (int d = 0; d < w->domains; d++) {
        double js = sl_view_js(sl_census_load(w->census, d, 0, at), sl_census_load(w->census, d, 1, at), w->experts);
        if (isfinite(js)) sl_buffer_printf(out, "%s%.9g", d ? "," : "", js);
        else sl_buffer_printf(out, "%snull", d ? "," : "");
    }
    sl_buffer_puts(out, "],");
    put_real("js_between", l->js_between, out);
    sl_buffer_puts(out, ",");
    put_real("js_within", l->js_within, out);
    sl_buffer_puts(out, ",");
    put_real("js_chance", l->js_chance, out);
    sl_buffer_puts(out, "}");
}

static void put_vocabulary(const sl_layer_view *l, sl_buffer *out) {
    for (int side = 0; side < SL_CENSUS_SIDES; side++) {
        sl_buffer_printf(out, "%s\"%s\":{\"ids\":%d,", side ? "," : ",\"vocabulary\":{", side_names[side], l->vocabulary[side].ids);
        put_real("score", l->vocabulary[side].score, out);
        sl_buffer_puts(out, ",");
        put_real("chance", l->vocabulary[side].chance, out);
        sl_buffer_puts(out, "}");
    }
    sl_buffer_puts(out, "}");
}

static void put_matrices(const sl_views *w, int at, sl_buffer *out) {
    sl_buffer_puts(out, ",\"kinds\":[");
    for (int k = 0; k < w->kinds; k++) {
        sl_buffer_puts(out, k ? "," : "");
        put_counts64(sl_census_kind(w->census, k, at), w->experts, out);
    }
    sl_buffer_puts(out, "],\"coactivation\":{\"counts\":[");
    for (int i = 0; i < w->experts; i++) {
        sl_buffer_puts(out, i ? ",[" : "[");
        for (int j = 0; j < w->experts; j++)
            sl_buffer_printf(out, "%s%llu", j ? "," : "", (unsigned long long)(i == j ? w->layer[at].count[i] : sl_census_pair(w->census, at, i, j)));
        sl_buffer_puts(out, "]");
    }
    sl_buffer_puts(out, "]},\"path\":");
    if (!w->layer[at].leads) {
        sl_buffer_puts(out, "null");
        return;
    }
    sl_buffer_printf(out, "{\"to\":%d,", w->layer[at + 1].layer);
    put_real("entropy", w->layer[at].path.entropy, out);
    sl_buffer_puts(out, ",");
    put_real("hit", w->layer[at].path.hit, out);
    sl_buffer_puts(out, ",");
    put_real("hot", w->layer[at].path.hot, out);
    sl_buffer_puts(out, ",\"counts\":[");
    for (int e = 0; e < w->experts; e++) {
        sl_buffer_puts(out, e ? "," : "");
        put_counts32(sl_census_path(w->census, at, e), w->experts, out);
    }
    sl_buffer_puts(out, "]}");
}

/* "name":[{…}, …] of an expert's finds; `other` is what a find's other is called. */
static void put_finds(const char *name, const char *other, const sl_find *f, int count, sl_buffer *out) {
    sl_buffer_printf(out, ",\"%s\":[", name);
    for (int i = 0; i < count; i++) {
        sl_buffer_printf(out, "%s{\"%s\":%d,", i ? "," : "", other, f[i].other);
        put_share(f[i].share, out);
        sl_buffer_puts(out, ",");
        put_real("chance", f[i].usual, out);
        sl_buffer_puts(out, ",");
        put_real("lift", f[i].share.share / f[i].usual, out);
        sl_buffer_puts(out, "}");
    }
    sl_buffer_puts(out, "]");
}

static void put_tokens(const sl_survey *v, const char *name, const sl_find *f, int count, sl_buffer *out) {
    sl_buffer piece = {0};
    sl_buffer_printf(out, "\"%s\":[", name);
    for (int i = 0; i < count; i++) {
        int32_t id = sl_census_token(v->census, f[i].other);
        sl_buffer_clear(&piece);
        sl_tokenizer_piece(v->tokenizer, id, &piece);
        sl_buffer_printf(out, "%s{\"id\":%d,\"text\":", i ? "," : "", id);
        sl_buffer_json(out, sl_buffer_text(&piece), piece.len);
        sl_buffer_puts(out, ",");
        put_share(f[i].share, out);
        sl_buffer_puts(out, "}");
    }
    sl_buffer_puts(out, "]");
    sl_buffer_done(&piece);
}

static void put_expert(const sl_survey *v, int at, int expert, sl_buffer *out) {
    const sl_views *w = v->views;
    sl_find f[MOST_FINDS];
    int top = (int)v->s->top;
    sl_buffer_printf(out, "%s{\"expert\":%d,\"tokens\":{", expert ? "," : "", expert);
    for (int side = 0; side < SL_CENSUS_SIDES; side++) {
        sl_buffer_puts(out, side ? "," : "");
        put_tokens(v, side_names[side], f, sl_find_tokens(w, (sl_census_side)side, at, expert, top, f), out);
    }
    sl_buffer_puts(out, "}");
    put_finds("partners", "expert", f, sl_find_pairs(w, at, expert, top, f), out);
    put_finds("followers", "expert", f, sl_find_paths(w, at, expert, top, f), out);
    sl_buffer_puts(out, "}");
}

bool sl_survey_json(const sl_survey *v, bool (*write)(void *arg, sl_buffer *piece), void *arg) {
    const sl_views *w = v->views;
    sl_buffer out = {0};
    sl_buffer_puts(&out, "{");
    put_model(v, &out);
    put_settings(v, &out);
    put_chance(v, &out);
    put_domains(v, &out);
    sl_buffer_puts(&out, ",\"layers\":[");
    bool good = true;
    for (int l = 0, first = 1; l < w->layers && good; l++) {
        if (!v->shown[l]) continue;
        sl_buffer_printf(&out, "%s{\"layer\":%d,\"counts\":", first ? "" : ",", w->layer[l].layer);
        first = 0;
        put_counts64(w->layer[l].count, w->experts, &out);
        put_imbalance(&w->layer[l], w->experts, &out);
        put_layer_domains(v, l, &out);
        put_vocabulary(&w->layer[l], &out);
        put_matrices(w, l, &out);
        sl_buffer_puts(&out, ",\"experts\":[");
        for (int e = 0; e < w->experts; e++) put_expert(v, l, e, &out);
        sl_buffer_puts(&out, "]}");
        good = write(arg, &out);
        sl_buffer_clear(&out);
    }
    sl_buffer_puts(&out, "]}\n");
    good = good && write(arg, &out);
    sl_buffer_done(&out);
    return good;
}
