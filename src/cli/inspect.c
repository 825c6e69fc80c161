#include "cli/cli.h"
#include "forward/kv.h"
#include "forward/state.h"

#include "cli/load.h"
#include "cli/plan.h"

#include <stdio.h>
#include <string.h>

/* `sluice inspect`: what a model is and what serving it will cost, or as much of that as is known of one that cannot be served;
 * nothing is run. */

static void put_shape(const sl_tensor_entry *t, const char *between, sl_buffer *out) {
    for (int k = 0; k < t->dims; k++) sl_buffer_printf(out, "%s%llu", k ? between : "", (unsigned long long)t->shape[k]);
}

/* A model as far as it opened: whole, with a plan; or in part, refused. */
typedef struct inspected {
    const sl_settings *s;
    sl_loaded l;
    sl_plan plan;
    bool whole;         /* the model opened: there is a plan, which may be refused itself */
    const char *refused; /* why `run` would not run it; NULL: it would */
} inspected;

static void print_tensors(const sl_model *m, sl_buffer *out) {
    sl_buffer_puts(out, "tensors\n");
    sl_tensor_entry t;
    for (int i = 0; sl_model_tensor(m, i, &t); i++) {
        sl_buffer_printf(out, "  %-44s %-6s ", t.name, t.type);
        put_shape(&t, " x ", out);
        sl_buffer_printf(out, "%s\n", t.used ? "" : "  (not used)");
    }
}

static int widest_window(const sl_hparams *hp) {
    int widest = 0;
    for (int i = 0; i < hp->layers; i++)
        if (hp->window[i] > widest) widest = hp->window[i];
    return widest;
}

static bool same_heads(const sl_hparams *hp, int a, int b) {
    return hp->heads[a] == hp->heads[b] && hp->kv_heads[a] == hp->kv_heads[b] && hp->head_dim[a] == hp->head_dim[b];
}

/* The first layer with attention, whose heads are those of every one; -1: there is none, or they differ. */
static int usual_heads(const sl_hparams *hp) {
    int first = -1;
    for (int i = 0; i < hp->layers; i++) {
        if (hp->mixer[i] != SL_MIXER_ATTENTION) continue;
        if (first < 0) first = i;
        if (!same_heads(hp, first, i)) return -1;
    }
    return first;
}

/* Are layers a and b the same in kind? */
static bool alike(const sl_hparams *hp, int a, int b) {
    if (hp->mixer[a] == SL_MIXER_ATTENTION && !same_heads(hp, a, b)) return false;
    return hp->mixer[a] == hp->mixer[b] && hp->window[a] == hp->window[b] && hp->unrotated[a] == hp->unrotated[b] &&
           hp->keyed_values[a] == hp->keyed_values[b] && hp->keys_of[a] == hp->keys_of[b] && hp->sparse[a] == hp->sparse[b] &&
           hp->ff_doubled[a] == hp->ff_doubled[b];
}

/* A line for each run of layers that are alike: "layers   0 … 2  attention over 128 positions, rope; 8 experts of width 16" */
static void print_layers(const sl_hparams *hp, sl_buffer *out) {
    bool differ = usual_heads(hp) < 0;
    for (int first = 0, last; first < hp->layers; first = last + 1) {
        for (last = first; last + 1 < hp->layers && alike(hp, first, last + 1);) last++;
        sl_buffer_printf(out, "%s %d", first ? "        " : "layers  ", first);
        if (last > first) sl_buffer_printf(out, " … %d", last);
        if (hp->mixer[first] == SL_MIXER_DELTA) sl_buffer_printf(out, "  gated delta net, %d value heads of %d by %d", hp->delta_value_heads, hp->delta_key_dim, hp->delta_value_dim);
        else if (hp->window[first] && hp->window[first] < INT32_MAX)
            sl_buffer_printf(out, hp->chunked ? "  attention in chunks of %d positions" : "  attention over %d positions", hp->window[first]);
        else sl_buffer_puts(out, "  attention over all positions");
        if (hp->mixer[first] == SL_MIXER_ATTENTION) {
            sl_buffer_puts(out, hp->unrotated[first] ? ", no rope" : ", rope");
            if (hp->unrotated[first] && hp->temperature_length != 0)
                sl_buffer_printf(out, ", queries that grow every %g positions", (double)hp->temperature_length);
            if (differ) sl_buffer_printf(out, ", heads %d of %d (keys and values %d)", hp->heads[first], hp->head_dim[first], hp->kv_heads[first]);
            if (hp->keyed_values[first]) sl_buffer_puts(out, ", keys are values");
            if (hp->keys_of[first]) sl_buffer_printf(out, ", keys and values of layer %d", hp->keys_of[first] - 1);
        }
        sl_buffer_puts(out, "; ");
        if (hp->sparse[first] && hp->dense_beside) sl_buffer_printf(out, "dense feed-forward of width %d beside ", sl_ff(hp, first));
        if (!hp->sparse[first]) sl_buffer_printf(out, "dense feed-forward of width %d\n", sl_ff(hp, first));
        else if (hp->shared_ff)
            sl_buffer_printf(out, "%d experts of width %d and a shared one of %d\n", hp->experts, hp->expert_ff, hp->shared_ff);
        else sl_buffer_printf(out, "%d experts of width %d\n", hp->experts, hp->expert_ff);
    }
}

static void print_width(const inspected *x, sl_buffer *out) {
    const sl_hparams *hp = &x->l.model->hp;
    int usual = usual_heads(hp);
    if (!hp->layers || !hp->width || !hp->head_dim[0]) return; /* refused before they were known */
    sl_buffer_printf(out, "width    %d, ", hp->width);
    if (!x->whole) sl_buffer_printf(out, "layers %d, ", hp->layers);
    if (usual < 0) sl_buffer_puts(out, "heads by layer");
    else sl_buffer_printf(out, "heads %d of %d (keys and values %d)", hp->heads[usual], hp->head_dim[usual], hp->kv_heads[usual]);
    if (x->whole) sl_buffer_printf(out, ", vocabulary %d, %s output", hp->vocab, hp->tied ? "tied" : "own");
    sl_buffer_append(out, "\n", 1);
}

static void print_text(const inspected *x, sl_buffer *out) {
    const sl_model *m = x->l.model;
    const sl_hparams *hp = &m->hp;
    if (x->whole) sl_plan_print(x->s, m, &x->plan, out);
    else sl_buffer_printf(out, "model    %s: %s\n", m->name, m->family ? m->family->name : m->container);
    print_width(x, out);
    if (hp->layer_input) sl_buffer_printf(out, "own      %d values of a token for each layer\n", hp->layer_input);
    if (hp->experts && x->whole)
        sl_buffer_printf(out, "experts  %d of width %d in each routed layer, %d a token, shared %d; %.1f %% of the weights\n",
                         hp->experts, hp->expert_ff, hp->experts_used, hp->shared_ff,
                         m->mapped_bytes ? 100.0 * (double)m->expert_bytes / (double)m->mapped_bytes : 0.0);
    else if (hp->experts) sl_buffer_printf(out, "experts  %d\n", hp->experts);
    if (x->whole) {
        char page[24], longest[24], state[24];
        int ctx = x->s->engine.ctx;
        sl_kv_window window = sl_kv_window_of(hp, ctx);
        print_layers(hp, out);
        sl_buffer_puts(out, "sequence ");
        if (x->plan.page_bytes) sl_buffer_printf(out, "%s for each page of %d positions, ", sl_bytes_text(x->plan.page_bytes, page), SL_PAGE);
        if (window.positions)
            sl_buffer_printf(out, "in layers with a window %s for each of the newest %d pages of %d, ", sl_bytes_text(x->plan.window_page_bytes, page),
                             sl_kv_window_pages(window, ctx, 1), SL_PAGE);
        sl_buffer_printf(out, "%s with %d positions; ", sl_bytes_text(sl_plan_sequence_bytes(x->s, m, &x->plan, ctx), longest), ctx);
        if (sl_state_bytes(hp)) sl_buffer_printf(out, "%s of state whatever its length\n", sl_bytes_text(sl_state_bytes(hp), state));
        else sl_buffer_puts(out, "no other state\n");
    }
    if (x->l.tokenizer) sl_buffer_printf(out, "tokens   %d in the tokenizer\n", sl_tokenizer_count(x->l.tokenizer));
    if (x->refused) sl_buffer_printf(out, "refused  %s\n", x->refused);
    print_tensors(m, out);
}

/* "layer":[{"mixer":"attention","heads":8,"kv_heads":2,"head_dim":64,"keyed_values":false,"keys_of":null,"window":128,"chunked":false,
 * "rope":true,"feed_forward":"experts","dense_ff":0},…],
 * keyed_values: keys are values as well; keys_of: the layer, counted from 0 as in this list, whose keys and values this one attends to;
 * dense_ff: the width of the dense network, which a layer may have beside its experts; 0: it has none. */
static void print_json_layers(const sl_hparams *hp, sl_buffer *out) {
    sl_buffer_puts(out, "\"layer\":[");
    for (int i = 0; i < hp->layers; i++) {
        bool attends = hp->mixer[i] == SL_MIXER_ATTENTION;
        sl_buffer_printf(out, "%s{\"mixer\":\"%s\",", i ? "," : "", attends ? "attention" : "gated_delta_net");
        if (attends) {
            sl_buffer_printf(out, "\"heads\":%d,\"kv_heads\":%d,\"head_dim\":%d,\"keyed_values\":%s,\"keys_of\":", hp->heads[i],
                             hp->kv_heads[i], hp->head_dim[i], hp->keyed_values[i] ? "true" : "false");
            if (hp->keys_of[i]) sl_buffer_printf(out, "%d,", hp->keys_of[i] - 1);
            else sl_buffer_puts(out, "null,");
        }
        sl_buffer_printf(out, "\"window\":%d,\"chunked\":%s,\"rope\":%s,\"feed_forward\":\"%s\",\"dense_ff\":%d}", hp->window[i],
                         hp->chunked && hp->window[i] ? "true" : "false", hp->unrotated[i] || !attends ? "false" : "true",
                         hp->sparse[i] ? "experts" : "dense", hp->sparse[i] && !hp->dense_beside ? 0 : sl_ff(hp, i));
    }
    sl_buffer_puts(out, "],");
}

static void put_string(const char *key, const char *value, sl_buffer *out) {
    sl_buffer_printf(out, "\"%s\":", key);
    sl_buffer_json(out, value, strlen(value));
    sl_buffer_append(out, ",", 1);
}

static void put_text_or_null(const char *key, const char *value, sl_buffer *out) {
    if (value) put_string(key, value, out);
    else sl_buffer_printf(out, "\"%s\":null,", key);
}

/* "private":{"keys_and_values":123,…}, */
static void put_private(const sl_plan *p, sl_buffer *out) {
    sl_buffer_puts(out, "\"private\":{");
    for (int i = 0; i < SL_PLAN_LINES; i++) {
        sl_buffer_puts(out, i ? ",\"" : "\"");
        for (const char *c = sl_plan_names[i]; *c; c++) sl_buffer_append(out, *c == ' ' ? "_" : c, 1);
        sl_buffer_printf(out, "\":%llu", (unsigned long long)p->bytes[i]);
    }
    sl_buffer_puts(out, "},");
}

static void print_json_plan(const inspected *x, sl_buffer *out) {
    const sl_settings *s = x->s;
    const sl_plan *p = &x->plan;
    if (!x->whole) {
        sl_buffer_puts(out, "\"plan\":null,");
        return;
    }
    sl_buffer_printf(out,
                     "\"plan\":{\"threads\":%d,\"tier\":\"%s\",\"ctx\":%d,\"kv_type\":\"%s\",\"kv_pages\":%d,\"page_positions\":%d,"
                     "\"kv_window_pages\":%d,\"page_bytes\":%llu,\"window_page_bytes\":%llu,\"sequence_bytes\":%llu,"
                     "\"weights_bytes\":%llu,\"kv_bytes\":%llu,\"states\":%d,\"state_bytes\":%llu,\"workspace_bytes\":%llu,\"sequences_bytes\":%llu,"
                     "\"private_bytes\":%llu,\"limit_bytes\":%llu,\"weights_fit\":%s,",
                     s->engine.threads, sl_kernels()->tier, s->engine.ctx, s->kv_type, s->engine.kv_pages, SL_PAGE,
                     p->window_page_bytes ? s->engine.kv_window_pages : 0, (unsigned long long)p->page_bytes, (unsigned long long)p->window_page_bytes,
                     (unsigned long long)sl_plan_sequence_bytes(s, x->l.model, p, s->engine.ctx),
                     (unsigned long long)p->weights, (unsigned long long)p->bytes[SL_PLAN_KV], s->engine.states,
                     (unsigned long long)p->bytes[SL_PLAN_STATE],
                     (unsigned long long)p->bytes[SL_PLAN_WORKSPACE], (unsigned long long)p->bytes[SL_PLAN_SEQUENCES],
                     (unsigned long long)p->total_private, (unsigned long long)p->machine.memory_limit,
                     p->weights_fit ? "true" : "false");
    put_private(p, out);
    sl_buffer_puts(out, "\"refused\":");
    if (x->refused) sl_buffer_json(out, x->refused, strlen(x->refused));
    else sl_buffer_puts(out, "null");
    sl_buffer_puts(out, "},");
}

/* null: not reached before the model was refused. */
static void put_number(const inspected *x, const char *key, uint64_t value, sl_buffer *out) {
    if (x->whole || value) sl_buffer_printf(out, "\"%s\":%llu,", key, (unsigned long long)value);
    else sl_buffer_printf(out, "\"%s\":null,", key);
}

static void print_json_numbers(const inspected *x, sl_buffer *out) {
    const sl_model *m = x->l.model;
    const sl_hparams *hp = &m->hp;
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"parameters", x->whole ? m->parameters : 0},
        {"active_parameters", x->whole ? m->active_parameters : 0},
        {"mapped_bytes", x->whole ? m->mapped_bytes : 0},
        {"expert_bytes", x->whole ? m->expert_bytes : 0},
        {"files", (uint64_t)m->files},
        {"layers", (uint64_t)hp->layers},
        {"width", (uint64_t)hp->width},
        {"ff", (uint64_t)hp->ff},
        {"layer_input", (uint64_t)hp->layer_input},
        {"vocab", (uint64_t)hp->vocab},
        {"context", (uint64_t)hp->context},
        {"window", (uint64_t)widest_window(hp)},
        {"experts", (uint64_t)hp->experts},
        {"experts_per_token", (uint64_t)hp->experts_used},
        {"expert_ff", (uint64_t)hp->expert_ff},
        {"shared_ff", (uint64_t)hp->shared_ff},
        {"tokens", x->l.tokenizer ? (uint64_t)sl_tokenizer_count(x->l.tokenizer) : 0},
    };
    int usual = usual_heads(hp);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put_number(x, numbers[i].key, numbers[i].value, out);
    if (usual < 0) { /* each layer says its own */
        sl_buffer_puts(out, "\"heads\":null,\"kv_heads\":null,\"head_dim\":null,");
        return;
    }
    put_number(x, "heads", (uint64_t)hp->heads[usual], out);
    put_number(x, "kv_heads", (uint64_t)hp->kv_heads[usual], out);
    put_number(x, "head_dim", (uint64_t)hp->head_dim[usual], out);
}

static void print_json(const inspected *x, sl_buffer *out) {
    const sl_model *m = x->l.model;
    sl_buffer_append(out, "{", 1);
    put_string("name", m->name, out);
    put_string("path", m->path, out);
    put_text_or_null("family", m->family ? m->family->name : NULL, out);
    put_text_or_null("container", m->container, out);
    put_text_or_null("type", x->whole ? m->type : NULL, out);
    put_text_or_null("refused", x->refused, out);
    print_json_numbers(x, out);
    if (x->whole) print_json_layers(&m->hp, out);
    sl_buffer_printf(out, "\"tied\":%s,", !x->whole ? "null" : m->hp.tied ? "true" : "false");
    print_json_plan(x, out);
    sl_buffer_puts(out, "\"tensors\":[");
    sl_tensor_entry t;
    for (int i = 0; sl_model_tensor(m, i, &t); i++) {
        sl_buffer_puts(out, i ? ",{" : "{");
        put_string("name", t.name, out);
        put_string("type", t.type, out);
        put_string("file", t.file, out);
        sl_buffer_puts(out, "\"shape\":[");
        put_shape(&t, ",", out);
        sl_buffer_printf(out, "],\"bytes\":%llu,\"used\":%s}", (unsigned long long)t.bytes, t.used ? "true" : "false");
    }
    sl_buffer_puts(out, "]}\n");
}

/* What `run` would refuse is refused here, after what is known has been shown. */
int sl_inspect(sl_settings *s) {
    sl_error err, plan_err;
    inspected x = {.s = s};
    sl_status st = sl_model_open_partly(s->model, &x.l.model, &err);
    if (!x.l.model) {
        fprintf(stderr, "sluice inspect: %s\n", err.message);
        return 1;
    }
    x.whole = st == SL_OK;
    if (x.whole) {
        st = sl_tokenizer_open(sl_model_vocab(x.l.model), &x.l.tokenizer, &err);
        s->engine.tokenizer = x.l.tokenizer;
        sl_status planned = sl_plan_make(s, x.l.model, &x.plan, &plan_err);
        if (!st && planned) st = planned, err = plan_err;
    }
    if (st) x.refused = err.message;
    sl_loaded_warn(&x.l, "inspect");
    sl_buffer out = {0};
    if (s->json) print_json(&x, &out);
    else print_text(&x, &out);
    if (!out.failed) fwrite(out.data, 1, out.len, stdout);
    if (st) fprintf(stderr, "sluice inspect: %s\n", err.message);
    int status = st || out.failed ? 1 : 0;
    sl_buffer_done(&out);
    sl_unload(&x.l);
    return status;
}
