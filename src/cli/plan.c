#include "cli/plan.h"

#include "cli/kv_plan.h"
#include "forward/kv.h"
#include "forward/state.h"

#include <stdio.h>
#include <string.h>

#define MOST_PAGES (1 << 24)
#define DEFAULT_CTX 32768 /* positions, where the model allows more: rope tables and page tables grow with it */

const char *sl_bytes_text(uint64_t bytes, char text[24]) {
    static const char units[][4] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double x = (double)bytes;
    int u = 0;
    while (x >= 1024 && u < 4) x /= 1024, u++;
    snprintf(text, 24, u && x < 100 ? "%.1f %s" : "%.0f %s", x, units[u]);
    return text;
}

const char *sl_kv_type_text(sl_kv_type t) { return t == SL_KV_F32 ? "float32" : "int16_scaled"; }

static int pages_for(int positions) { return (positions + SL_PAGE - 1) / SL_PAGE; }

const char *const sl_plan_names[SL_PLAN_LINES] = {
#define X(symbol, name, option) [SL_PLAN_##symbol] = name,
    SL_PLAN_LIST(X)
#undef X
};
static const char *const option_of[SL_PLAN_LINES] = {
#define X(symbol, name, option) [SL_PLAN_##symbol] = option,
    SL_PLAN_LIST(X)
#undef X
};

#define PROGRAM (UINT64_C(48) << 20)
#define LEAST_CONNECTIONS 64
#define MOST_CONNECTIONS 4096 /* that are chosen; more can be asked for */

static uint64_t sum(const sl_plan *p) {
    uint64_t total = 0;
    for (int i = 0; i < SL_PLAN_LINES; i++) total += p->bytes[i];
    return total;
}

static void measure(const sl_settings *s, const sl_model *m, sl_plan *p) {
    const sl_engine_config *g = &s->engine;
    sl_engine_plan engine = sl_engine_plan_for(g);
    p->bytes[SL_PLAN_KV] = engine.kv_bytes;
    p->bytes[SL_PLAN_STATE] = engine.state_bytes;
    p->bytes[SL_PLAN_WORKSPACE] = engine.workspace_bytes;
    p->bytes[SL_PLAN_SEQUENCES] = engine.sequence_bytes;
    p->bytes[SL_PLAN_REQUESTS] = engine.request_bytes;
    p->bytes[SL_PLAN_TOKENIZER] = g->tokenizer ? sl_tokenizer_memory(g->tokenizer) : 0;
    p->bytes[SL_PLAN_PROGRAM] = PROGRAM;
    if (s->serves) {
        sl_api_plan api = sl_api_plan_for(s->api.memory);
        sl_http_plan http = sl_http_plan_for(&s->http);
        int endpoints;
        sl_api_endpoints(&endpoints);
        p->bytes[SL_PLAN_METRICS] = sl_metrics_bytes(m->hp.layers, m->hp.experts, endpoints);
        p->bytes[SL_PLAN_ANSWERS] = api.answers;
        p->bytes[SL_PLAN_TEXTS] = api.texts;
        p->bytes[SL_PLAN_DOCUMENTS] = 2 * api.document; /* the text thread's, and one that interrupts it */
        p->bytes[SL_PLAN_RENDERINGS] = 2 * api.rendering;
        p->bytes[SL_PLAN_BODIES] = http.bodies;
        p->bytes[SL_PLAN_CONNECTIONS] = http.connections;
    }
    p->total_private = sum(p);
}

/* What requests may take grows with the limit, up to the defaults: a small container keeps most of it for the model. */
static uint64_t share(uint64_t limit, uint64_t part, uint64_t least, uint64_t most) {
    uint64_t bytes = limit / part;
    return bytes < least ? least : bytes > most ? most : bytes;
}

static void choose_budgets(sl_settings *s, const sl_plan *p) {
    uint64_t limit = p->machine.memory_limit;
    if (!s->engine.request_memory) s->engine.request_memory = share(limit, 16, UINT64_C(16) << 20, UINT64_C(128) << 20);
    if (!s->api.memory) s->api.memory = share(limit, 6, UINT64_C(40) << 20, UINT64_C(320) << 20);
    sl_plan_http(s, limit);
}

void sl_plan_http(sl_settings *s, uint64_t limit) {
    sl_http_config *h = &s->http;
    if (!h->connections) h->connections = (int)(share(limit, 16, LEAST_CONNECTIONS * SL_HTTP_POOL, MOST_CONNECTIONS * SL_HTTP_POOL) / SL_HTTP_POOL);
    if (!h->body_memory) h->body_memory = share(limit, 32, UINT64_C(8) << 20, UINT64_C(64) << 20);
    if (h->body_memory < h->body_limit) h->body_memory = h->body_limit;
}

/* "keys and values 1.5 GiB (--kv-memory) + …", the lines that are not 0 */
static void put_lines(const sl_plan *p, bool options, sl_buffer *out) {
    char text[24];
    for (int i = 0, first = 1; i < SL_PLAN_LINES; i++) {
        if (!p->bytes[i]) continue;
        sl_buffer_printf(out, "%s%s %s", first ? "" : " + ", sl_plan_names[i], sl_bytes_text(p->bytes[i], text));
        if (options && option_of[i]) sl_buffer_printf(out, " (%s)", option_of[i]);
        first = 0;
    }
}

/* What the pages cost and who needs how many, for the ctx that is chosen by now. A conversation keeps the window before the end of its
 * newest prompt, and that before the end of its answer. */
static sl_kv_wish wish(const sl_settings *s, const sl_model *m) {
    const sl_engine_config *g = &s->engine;
    sl_engine_window_pages windows = sl_engine_window_pages_for(g);
    uint64_t one = (uint64_t)pages_for(g->ctx), ends = 2 * (uint64_t)sl_kv_window_pages(sl_kv_window_of(&m->hp, g->ctx), g->ctx, 1);
    sl_kv_page_sizes bytes = sl_kv_page_sizes_of(&m->hp, g->kv_type, g->ctx, windows.least > 0);
    if (!windows.least) return (sl_kv_wish){.page_bytes = bytes.page, .one = one};
    return (sl_kv_wish){.page_bytes = bytes.page,
                        .window_bytes = bytes.window_page,
                        .one = one,
                        .least = (uint64_t)windows.least,
                        .running = (uint64_t)windows.running,
                        .ends = !g->prefix_cache ? 0 : ends < SL_KV_TALK ? ends : SL_KV_TALK};
}

/* Pages: as many as are asked for; otherwise for ctx * max-sequences positions, if half of what the limit leaves is enough. */
static void choose_pages(sl_settings *s, const sl_model *m, const sl_plan *p) {
    sl_engine_config *g = &s->engine;
    sl_kv_wish w = wish(s, m);
    uint64_t wanted = w.one * (uint64_t)g->max_sequences, bytes = (uint64_t)s->kv_memory;
    if (s->kv_memory <= 0) {
        uint64_t other = p->total_private - p->bytes[SL_PLAN_KV];
        uint64_t limit = p->machine.memory_limit;
        uint64_t taken = p->weights_fit ? p->weights + other : other; /* weights that do not fit are read from disk anyway */
        uint64_t allowed = limit > taken ? (limit - taken) / 2 : 0;
        uint64_t enough = wanted * w.page_bytes + sl_kv_windows_beside(&w, wanted) * w.window_bytes;
        bytes = enough < allowed ? enough : allowed;
    }
    sl_kv_pages pages = sl_kv_divide(&w, bytes);
    if (pages.pages == UINT64_MAX) pages.pages = wanted > pages.window_pages ? wanted : pages.window_pages;
    g->kv_pages = pages.pages > MOST_PAGES ? MOST_PAGES : (int)pages.pages;
    g->kv_window_pages = pages.window_pages > MOST_PAGES ? MOST_PAGES : (int)pages.window_pages;
}

/* Does the longest sequence fit alone? Whoever runs can take the pages of all others (engine/scheduler.h, rule 3), so that then
 * every sequence comes to its end. */
static bool one_fits(const sl_engine_config *g) {
    return g->ctx > 0 && g->kv_pages >= pages_for(g->ctx) && g->kv_window_pages >= sl_engine_window_pages_for(g).least;
}

/* The least bytes with which a sequence of ctx positions fits. */
static uint64_t one_bytes(const sl_settings *s, const sl_model *m) {
    sl_kv_wish w = wish(s, m);
    return w.one * w.page_bytes + w.least * w.window_bytes;
}

/* Slots of state: as asked; otherwise two for each sequence, one to be in and one to be saved in, but no more than a quarter of what
 * the limit leaves. At least one. */
static int choose_states(const sl_settings *s, const sl_model *m, const sl_plan *p) {
    uint64_t one = sl_state_bytes(&m->hp), wanted = 2 * (uint64_t)s->engine.max_sequences, allowed;
    if (!one) return 0;
    uint64_t limit = p->machine.memory_limit, taken = p->total_private + (p->weights_fit ? p->weights : 0);
    if (s->state_memory > 0) allowed = wanted = (uint64_t)s->state_memory / one;
    else allowed = limit > taken ? (limit - taken) / 4 / one : 0;
    if (wanted > allowed) wanted = allowed;
    return wanted < 1 ? 1 : wanted > 1 << 16 ? 1 << 16 : (int)wanted;
}

/* Positions up to which divided rope has its short divisors; the context of other models. */
static int short_positions(const sl_model *m) {
    const sl_hparams *hp = &m->hp;
    return hp->rope_scaling == SL_ROPE_DIVIDED && hp->rope_original < hp->context ? hp->rope_original : hp->context;
}

int sl_plan_positions(const sl_model *m) { return m->hp.rope_long ? m->hp.context : short_positions(m); }

/* --ctx as given, or a default: no more than the model has positions, and than its rope has frequencies for. The default is not so
 * long that rope would turn otherwise for all sequences, the short ones too: that is for who asks for it. */
static sl_status choose_ctx(sl_engine_config *g, const sl_model *m, sl_error *e) {
    const sl_hparams *hp = &m->hp;
    int asked = g->ctx, most = sl_plan_positions(m);
    if (!asked) g->ctx = short_positions(m) < DEFAULT_CTX ? short_positions(m) : DEFAULT_CTX;
    if (g->ctx <= most) return SL_OK;
    g->ctx = most;
    if (asked > hp->context)
        return sl_fail_param(e, SL_MISUSE, "ctx", "--ctx: %d positions are more than the model's %d", asked, hp->context);
    return sl_fail_param(e, SL_MISUSE, "ctx", "--ctx: the model has no rope divisors for sequences of more than %d positions: "
                         "--ctx %d is the most, not %d", most, most, asked);
}

/* asked: bytes of --kv-memory, 0: none were; one: what one sequence needs. */
static sl_status refuse(const sl_engine_config *g, const sl_plan *p, uint64_t asked, uint64_t one, sl_error *e) {
    sl_buffer lines = {0};
    char total[24], most[24];
    if (asked && asked < one && p->total_private <= p->machine.memory_limit)
        return sl_fail_param(e, SL_MISUSE, "kv-memory",
                             "--kv-memory: %s is too little: the keys and values of one sequence of %d positions (--ctx) take %s",
                             sl_bytes_text(asked, most), g->ctx > 0 ? g->ctx : SL_PAGE, sl_bytes_text(one, total));
    put_lines(p, true, &lines);
    sl_status st = sl_fail_param(e, SL_TOO_LONG, "kv-memory",
                                 "does not fit: %s = %s, the limit is %s; one sequence of %d positions (--ctx) needs keys and values "
                                 "at least: lower one of these options or give more memory",
                                 sl_buffer_text(&lines), sl_bytes_text(p->total_private, total),
                                 sl_bytes_text(p->machine.memory_limit, most), g->ctx > 0 ? g->ctx : SL_PAGE);
    sl_buffer_done(&lines);
    return st;
}

sl_status sl_plan_make(sl_settings *s, const sl_model *m, sl_plan *ret, sl_error *e) {
    sl_plan p = {.weights = m->mapped_bytes};
    sl_engine_config *g = &s->engine;
    sl_machine_read(&p.machine);
    g->model = m;
    g->kv_type = !strcmp(s->kv_type, "f32") ? SL_KV_F32 : SL_KV_I16;
    g->prefix_cache = s->prefix_cache && !strcmp(s->prefix_cache, "on");
    if (!g->threads) g->threads = p.machine.threads;
    bool ctx_given = g->ctx > 0;
    choose_budgets(s, &p);
    sl_status chosen = choose_ctx(g, m, e); /* what the most positions cost is worked out in any case */
    g->kv_pages = g->kv_window_pages = 1;
    measure(s, m, &p);
    uint64_t limit = p.machine.memory_limit;
    p.weights_fit = p.weights + p.total_private <= limit;
    g->states = choose_states(s, m, &p);
    if (s->state_memory > 0 && (uint64_t)s->state_memory < sl_state_bytes(&m->hp)) {
        char asked[24], one[24];
        *ret = p;
        return sl_fail_param(e, SL_MISUSE, "state-memory", "--state-memory: %s is too little: the state of one sequence takes %s",
                             sl_bytes_text((uint64_t)s->state_memory, asked), sl_bytes_text(sl_state_bytes(&m->hp), one));
    }
    measure(s, m, &p);
    choose_pages(s, m, &p);
    if (!one_fits(g) && !ctx_given) { /* the context shrinks with the memory */
        bool few = g->kv_window_pages < sl_engine_window_pages_for(g).least && g->kv_window_pages < g->kv_pages;
        g->ctx = (few ? g->kv_window_pages : g->kv_pages) * SL_PAGE;
        if (g->ctx > 0) choose_pages(s, m, &p);
    }
    measure(s, m, &p);
    sl_kv_wish w = wish(s, m);
    p.page_bytes = w.page_bytes;
    p.window_page_bytes = w.window_bytes;
    if (!one_fits(g) || p.total_private > limit) {
        sl_settings least = *s;
        if (!ctx_given) least.engine.ctx = SL_PAGE;
        uint64_t one = one_bytes(&least, m);
        if (p.bytes[SL_PLAN_KV] < one) p.bytes[SL_PLAN_KV] = one;
        p.total_private = sum(&p);
        *ret = p;
        return chosen ? chosen : refuse(g, &p, s->kv_memory > 0 ? (uint64_t)s->kv_memory : 0, one, e);
    }
    p.weights_fit = p.weights + p.total_private <= limit;
    *ret = p;
    return chosen;
}

uint64_t sl_plan_sequence_bytes(const sl_settings *s, const sl_model *m, const sl_plan *p, int positions) {
    int ctx = s->engine.ctx;
    uint64_t pages = (uint64_t)pages_for(positions), windows = (uint64_t)sl_kv_window_pages(sl_kv_window_of(&m->hp, ctx), ctx, 1);
    return pages * p->page_bytes + (windows < pages ? windows : pages) * p->window_page_bytes;
}

static void print_model(const sl_model *m, sl_buffer *out) {
    const sl_hparams *hp = &m->hp;
    char size[24];
    sl_buffer_printf(out, "model    %s: %s, %d layers", m->name, m->family->name, hp->layers);
    if (hp->experts) sl_buffer_printf(out, " of %d experts, %d a token", hp->experts, hp->experts_used);
    else sl_buffer_puts(out, ", dense");
    sl_buffer_printf(out, "; %.2f G parameters, %.2f G active; %s in %d %s file%s, %s mapped, not copied\n",
                     (double)m->parameters / 1e9, (double)m->active_parameters / 1e9, m->type, m->files, m->container,
                     m->files == 1 ? "" : "s", sl_bytes_text(m->mapped_bytes, size));
}

static void print_rope(const sl_engine_config *g, const sl_model *m, sl_buffer *out) {
    int few = short_positions(m);
    if (few == m->hp.context) return;
    if (!m->hp.rope_long) sl_buffer_printf(out, "rope     has no divisors for sequences of more than %d positions: none is longer\n", few);
    else if (g->ctx > few)
        sl_buffer_printf(out, "rope     turns all sequences as long ones, since one may have more than %d positions (--ctx)\n", few);
    else sl_buffer_printf(out, "rope     turns sequences as short ones; with --ctx above %d it turns all as long ones\n", few);
}

static void print_windows(const sl_engine_config *g, const sl_hparams *hp, sl_buffer *out) {
    int windowed = 0, widest = 0, kept = sl_kv_window_of(hp, g->ctx).positions;
    for (int i = 0; i < hp->layers; i++) {
        windowed += hp->window[i] > 0;
        if (hp->window[i] > widest) widest = hp->window[i];
    }
    if (!windowed || widest >= hp->context) return;
    sl_buffer_printf(out, "window   %d of %d layers see %s %d positions only", windowed, hp->layers,
                     hp->chunked ? "their own chunk of" : "the newest", widest);
    if (kept) sl_buffer_printf(out, ", and keep no others: %d pages of %d positions are theirs (--kv-memory)\n", g->kv_window_pages, SL_PAGE);
    else sl_buffer_printf(out, "; a sequence has no more (--ctx)\n");
}

static void print_states(const sl_engine_config *g, const sl_model *m, sl_buffer *out) {
    char one[24];
    uint64_t bytes = sl_state_bytes(&m->hp);
    if (!bytes) return;
    int layers = 0;
    for (int i = 0; i < m->hp.layers; i++) layers += m->hp.mixer[i] == SL_MIXER_DELTA;
    sl_buffer_printf(out, "state    %d of %d layers keep a state in place of keys and values: %s a sequence, %d slots (--state-memory), of which "
                          "each sequence in the batch takes one; ",
                     layers, m->hp.layers, sl_bytes_text(bytes, one), g->states);
    if (!g->prefix_cache) sl_buffer_puts(out, "none is kept after a request\n");
    else sl_buffer_puts(out, "the others keep states for prompts that go on after the same tokens\n");
}

void sl_plan_print(const sl_settings *s, const sl_model *m, const sl_plan *p, sl_buffer *out) {
    const sl_engine_config *g = &s->engine;
    const sl_machine *h = &p->machine;
    char a[24], b[24], c[24];
    sl_buffer_printf(out, "sluice   %s, kernels %s (--tier)\n", SL_VERSION, sl_kernels()->tier);
    sl_buffer_printf(out, "cpu      %s: %d online, %d in the affinity mask, ", h->cpu_model[0] ? h->cpu_model : "unknown",
                     h->cpus_online, h->cpus_affinity);
    if (h->cpus_quota > 0) sl_buffer_printf(out, "quota %.2f", h->cpus_quota);
    else sl_buffer_puts(out, "no quota");
    sl_buffer_printf(out, "; %d thread%s (--threads)\n", g->threads, g->threads == 1 ? "" : "s");
    print_model(m, out);
    sl_buffer_printf(out, "memory   weights %s (page cache) + private memory %s at most, of %s (%s)\nprivate  ",
                     sl_bytes_text(p->weights, a), sl_bytes_text(p->total_private, b), sl_bytes_text(h->memory_limit, c),
                     h->memory_limited ? "cgroup limit" : "the machine's");
    put_lines(p, true, out);
    sl_buffer_puts(out, "\n");
    print_rope(g, m, out);
    print_windows(g, &m->hp, out);
    print_states(g, m, out);
    sl_buffer_printf(out, "context  %d of the model's %d positions a sequence (--ctx); %d pages of %d positions (--kv-memory), %s "
                          "(%s, --kv-type)",
                     g->ctx, m->hp.context, g->kv_pages, SL_PAGE, s->kv_type, sl_kv_type_text(g->kv_type));
    if (s->serves) sl_buffer_printf(out, ", %s after a request (--prefix-cache)", g->prefix_cache ? "kept" : "given up");
    sl_buffer_puts(out, "\n");
    if (!p->weights_fit) {
        uint64_t room = h->memory_limit > p->total_private ? h->memory_limit - p->total_private : 0;
        double missing = p->weights ? 1.0 - (double)room / (double)p->weights : 0;
        double read = missing * (double)m->active_parameters / (double)m->parameters * (double)m->mapped_bytes;
        sl_buffer_printf(out, "warning  %.0f %% of the weights do not fit: about %s a token come from disk, so at 1 GB/s expect "
                              "%.1f tokens/s at most\n",
                         missing * 100, sl_bytes_text((uint64_t)read, a), read > 0 ? 1e9 / read : 0.0);
    }
}
