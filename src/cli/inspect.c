#include "cli/cli.h"

#include "cli/load.h"
#include "cli/plan.h"

#include <stdio.h>
#include <string.h>

/* `sluice inspect`: what a model is and what serving it will cost; nothing is run. */

static void put_shape(const sl_tensor_entry *t, const char *between, sl_buffer *out) {
    for (int k = 0; k < t->dims; k++) sl_buffer_printf(out, "%s%llu", k ? between : "", (unsigned long long)t->shape[k]);
}

static void print_text(const sl_settings *s, const sl_model *m, const sl_plan *p, const sl_error *refused, sl_buffer *out) {
    const sl_hparams *hp = &m->hp;
    sl_plan_print(s, m, p, out);
    sl_buffer_printf(out, "width    %d, heads %d of %d (keys and values %d), vocabulary %d, %s output\n", hp->width, hp->heads,
                     hp->head_dim, hp->kv_heads, hp->vocab, hp->tied ? "tied" : "own");
    if (hp->experts)
        sl_buffer_printf(out, "experts  %d of width %d in each routed layer, %d a token, shared %d; %.1f %% of the weights\n",
                         hp->experts, hp->expert_ff, hp->experts_used, hp->shared_ff,
                         m->mapped_bytes ? 100.0 * (double)m->expert_bytes / (double)m->mapped_bytes : 0.0);
    if (refused) sl_buffer_printf(out, "refused  %s\n", refused->message);
    sl_buffer_puts(out, "tensors\n");
    sl_tensor_entry t;
    for (int i = 0; sl_model_tensor(m, i, &t); i++) {
        sl_buffer_printf(out, "  %-44s %-6s ", t.name, t.type);
        put_shape(&t, " x ", out);
        sl_buffer_printf(out, "%s\n", t.used ? "" : "  (not used)");
    }
}

static void put_string(const char *key, const char *value, sl_buffer *out) {
    sl_buffer_printf(out, "\"%s\":", key);
    sl_buffer_json(out, value, strlen(value));
    sl_buffer_append(out, ",", 1);
}

static void print_json(const sl_settings *s, const sl_model *m, const sl_plan *p, const sl_error *refused, sl_buffer *out) {
    const sl_hparams *hp = &m->hp;
    sl_buffer_append(out, "{", 1);
    put_string("name", m->name, out);
    put_string("path", m->path, out);
    put_string("family", m->family->name, out);
    put_string("container", m->container, out);
    put_string("type", m->type, out);
    sl_buffer_printf(out,
                     "\"parameters\":%llu,\"active_parameters\":%llu,\"mapped_bytes\":%llu,\"expert_bytes\":%llu,\"files\":%d,"
                     "\"layers\":%d,\"width\":%d,\"heads\":%d,\"kv_heads\":%d,\"head_dim\":%d,\"ff\":%d,\"vocab\":%d,"
                     "\"context\":%d,\"experts\":%d,\"experts_per_token\":%d,\"expert_ff\":%d,\"shared_ff\":%d,\"tied\":%s,",
                     (unsigned long long)m->parameters, (unsigned long long)m->active_parameters,
                     (unsigned long long)m->mapped_bytes, (unsigned long long)m->expert_bytes, m->files, hp->layers, hp->width,
                     hp->heads, hp->kv_heads, hp->head_dim, hp->ff, hp->vocab, hp->context, hp->experts, hp->experts_used,
                     hp->expert_ff, hp->shared_ff, hp->tied ? "true" : "false");
    sl_buffer_printf(out,
                     "\"plan\":{\"threads\":%d,\"tier\":\"%s\",\"ctx\":%d,\"kv_type\":\"%s\",\"kv_pages\":%d,\"page_positions\":%d,"
                     "\"weights_bytes\":%llu,\"kv_bytes\":%llu,\"workspace_bytes\":%llu,\"sequences_bytes\":%llu,"
                     "\"limit_bytes\":%llu,\"weights_fit\":%s,\"refused\":",
                     s->engine.threads, sl_kernels()->tier, s->engine.ctx, s->kv_type, s->engine.kv_pages, SL_PAGE,
                     (unsigned long long)p->weights, (unsigned long long)p->kv, (unsigned long long)p->workspace,
                     (unsigned long long)p->sequences, (unsigned long long)p->machine.memory_limit,
                     p->weights_fit ? "true" : "false");
    if (refused) sl_buffer_json(out, refused->message, strlen(refused->message));
    else sl_buffer_puts(out, "null");
    sl_buffer_puts(out, "},\"tensors\":[");
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

int sl_inspect(sl_settings *s) {
    sl_error err;
    sl_model *m;
    sl_plan plan = {0};
    if (sl_model_open(s->model, &m, &err)) {
        fprintf(stderr, "sluice inspect: %s\n", err.message);
        return 1;
    }
    sl_loaded_warn(&(sl_loaded){.model = m}, "inspect");
    sl_status planned = sl_plan_make(s, m, &plan, &err);
    sl_buffer out = {0};
    if (s->json) print_json(s, m, &plan, planned ? &err : NULL, &out);
    else print_text(s, m, &plan, planned ? &err : NULL, &out);
    int status = out.failed ? 1 : 0;
    if (!out.failed) fwrite(out.data, 1, out.len, stdout);
    sl_buffer_done(&out);
    sl_model_close(m);
    return status;
}
