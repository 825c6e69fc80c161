/* The conversion: plan, keys, files, and a last look. What a row becomes is rows.c's. */
#include "convert/convert.h"

#include "base/alloc.h"
#include "base/machine.h"
#include "convert/internal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct conversion {
    const sl_convert_config *c;
    sl_arena *arena;
    sl_model *model;
    sl__plan plan;
    const sl__mix *mix;
    sl__keys keys;
    sl__imatrix *imatrix;
    sl__rows *rows;
    sl__output *out; /* [plan.files] */
    uint64_t done;   /* bytes of tensors */
    sl_notes *notes;
    sl_error *e;
} conversion;

/* The name of part i: the destination itself, or PREFIX-00001-of-00003.gguf. */
static char *part_path(const conversion *v, int i) {
    const char *dst = v->c->dst;
    size_t n = strlen(dst);
    if (v->plan.files == 1) return sl_strdup(dst);
    if (n > 5 && strcmp(dst + n - 5, ".gguf") == 0) n -= 5;
    char *path = sl_malloc(n + 24);
    if (path) snprintf(path, n + 24, "%.*s-%05d-of-%05d.gguf", (int)n, dst, i + 1, v->plan.files);
    return path;
}

static sl_status check_destination(const conversion *v) {
    struct stat st;
    for (int i = 0; i < v->plan.files; i++) {
        char *path = part_path(v, i);
        if (!path) return sl_fail(v->e, SL_NOMEM, "out of memory for %s", v->c->dst);
        bool there = stat(path, &st) == 0;
        sl_status s = SL_OK;
        if (there && S_ISDIR(st.st_mode)) s = sl_fail(v->e, SL_INVALID, "%s is a folder: name a file", path);
        else if (there && !S_ISREG(st.st_mode)) s = sl_fail(v->e, SL_INVALID, "%s is no ordinary file", path);
        else if (there && !v->c->force) s = sl_fail(v->e, SL_INVALID, "%s is there already (--force replaces it)", path);
        sl_free(path);
        if (s != SL_OK) return s;
    }
    return sl__output_room(v->c->dst, v->plan.bytes, v->e);
}

/* Says, once for each kind, what was done otherwise than the type's name lets one expect. */
static void note_types(const conversion *v) {
    const sl__plan *p = &v->plan;
    int again = 0;
    const sl__out *first_again = NULL;
    for (int i = 0; i < p->count; i++) {
        const sl__out *o = &p->out[i];
        if (o->requantised && again++ == 0) first_again = o;
        if (!o->wanted) continue;
        int same = 0;
        bool said = false;
        for (int j = 0; j < p->count; j++) {
            if (!p->out[j].wanted || strcmp(p->out[j].wanted, o->wanted) != 0 || p->out[j].type != o->type) continue;
            said = said || j < i;
            same++;
        }
        if (!said)
            sl_notes_add(v->notes, "%d of %d tensors: %s where %s asks for %s, which their rows do not divide into (the first is %s)", same, p->count,
                         sl_types[o->type].name, v->c->type, o->wanted, o->name);
    }
    if (again)
        sl_notes_add(v->notes,
                     "%d of %d tensors are quantised already and are converted again, which adds to the error (the first is %s, "
                     "%s to %s)", again,
                     p->count, first_again->name, sl_types[first_again->slice->type].name, sl_types[first_again->type].name);
}

/* Magic, counts, key-values, tensor infos, zeros up to the data. */
static sl_status put_header(conversion *v, int file, sl_buffer *to) {
    const sl__plan *p = &v->plan;
    sl__keys split = {0}, infos = {0};
    uint64_t tensors = 0, keys;
    uint32_t version = 3;
    for (int i = 0; i < p->count; i++) {
        const sl__out *o = &p->out[i];
        if (o->file != file) continue;
        uint64_t ne[3] = {(uint64_t)o->slice->cols, (uint64_t)o->slice->rows, (uint64_t)o->slices};
        uint32_t dims = (uint32_t)o->dims, type = (uint32_t)sl_types[o->type].ggml_id;
        tensors++;
        sl__put_text(&infos, o->name, strlen(o->name));
        sl__put_bytes(&infos, &dims, sizeof dims);
        sl__put_bytes(&infos, ne, dims * sizeof *ne);
        sl__put_bytes(&infos, &type, sizeof type);
        sl__put_bytes(&infos, &o->offset, sizeof o->offset);
    }
    if (p->files > 1) {
        sl__put_u16(&split, "split.no", (uint16_t)file);
        sl__put_u16(&split, "split.count", (uint16_t)p->files);
        sl__put_i32(&split, "split.tensors.count", p->count);
    }
    keys = split.count + (file == 0 ? v->keys.count : 0);
    sl_buffer_append(to, "GGUF", 4);
    sl_buffer_append(to, &version, sizeof version);
    sl_buffer_append(to, &tensors, sizeof tensors);
    sl_buffer_append(to, &keys, sizeof keys);
    if (file == 0) sl_buffer_append(to, v->keys.bytes.data, v->keys.bytes.len);
    sl_buffer_append(to, split.bytes.data, split.bytes.len);
    sl_buffer_append(to, infos.bytes.data, infos.bytes.len);
    while (to->len % SL__ALIGNMENT && !to->failed) sl_buffer_append(to, "", 1);
    bool failed = to->failed || split.bytes.failed || infos.bytes.failed || v->keys.bytes.failed;
    sl_buffer_done(&split.bytes);
    sl_buffer_done(&infos.bytes);
    return failed ? sl_fail(v->e, SL_NOMEM, "out of memory for the header") : SL_OK;
}

/* One tensor, in pieces. */
static sl_status put_tensor(conversion *v, int number, sl__output *to) {
    const sl__out *o = &v->plan.out[number];
    const float *importance = v->imatrix ? sl__imatrix_for(v->imatrix, o) : NULL;
    sl_status s = SL_OK;
    int64_t rows = (int64_t)o->slice->rows * o->slices, row = 0;
    while (row < rows && s == SL_OK) {
        const uint8_t *bytes;
        size_t size;
        int64_t n;
        s = sl__rows_convert(v->rows, o, importance, row, &n, &bytes, &size, v->e);
        if (s == SL_OK) s = sl__output_write(to, bytes, size, v->e);
        if (s != SL_OK) return s;
        row += n;
        v->done += size;
        sl_convert_progress p = {v->done, v->plan.bytes, number + 1, v->plan.count, o->name};
        if (v->c->tell && !v->c->tell(v->c->arg, &p)) return sl_fail(v->e, SL_CANCELLED, "stopped; nothing was written");
    }
    return s == SL_OK ? sl__output_zeros(to, (size_t)(-o->bytes % SL__ALIGNMENT), v->e) : s;
}

static sl_status write_file(conversion *v, int file) {
    sl_buffer header = {0};
    uint64_t bytes = 0;
    char *path = part_path(v, file);
    sl_status s = path ? put_header(v, file, &header) : sl_fail(v->e, SL_NOMEM, "out of memory for %s", v->c->dst);
    for (int i = 0; i < v->plan.count; i++)
        if (v->plan.out[i].file == file) bytes = v->plan.out[i].offset + v->plan.out[i].bytes;
    if (s == SL_OK) s = sl__output_open(path, header.len + bytes + SL__ALIGNMENT, &v->out[file], v->e);
    if (s == SL_OK) s = sl__output_write(&v->out[file], header.data, header.len, v->e);
    for (int i = 0; i < v->plan.count && s == SL_OK; i++)
        if (v->plan.out[i].file == file) s = put_tensor(v, i, &v->out[file]);
    sl_buffer_done(&header);
    sl_free(path);
    return s;
}

/* ---- The last look: does the file say the same model? ---- */

static bool near(float a, float b) { return fabsf(a - b) <= 1e-6f * fabsf(a); }

static const char *difference(const sl_hparams *a, const sl_hparams *b) {
#define DIFFERS(field) if (a->field != b->field) return #field;
    DIFFERS(vocab) DIFFERS(context) DIFFERS(width) DIFFERS(layers) DIFFERS(ff)
    DIFFERS(norm_eps) DIFFERS(norm) DIFFERS(wiring) DIFFERS(embedding_scale) DIFFERS(residual_scale) DIFFERS(logit_scale)
    DIFFERS(attention_scale) DIFFERS(qk_norm) DIFFERS(qkv_clip) DIFFERS(rope_dims) DIFFERS(rope_theta)
    DIFFERS(experts)
    if (a->experts) { /* of a dense model the row of another family may say what is never asked for */
        DIFFERS(experts_used) DIFFERS(expert_ff) DIFFERS(router_score) DIFFERS(router_norm) DIFFERS(router_eps) DIFFERS(router_scale)
        DIFFERS(router_groups) DIFFERS(router_groups_used) DIFFERS(shared_gate) DIFFERS(shared_ff) DIFFERS(routed_scale)
    }
    DIFFERS(tied) DIFFERS(activation) DIFFERS(activation_alpha) DIFFERS(activation_limit) DIFFERS(logit_cap)
    DIFFERS(layer_input) DIFFERS(value_norm) DIFFERS(dense_beside) DIFFERS(window_rope_theta) DIFFERS(window_rope_dims) DIFFERS(window_rope_factor)
    DIFFERS(temperature_length) DIFFERS(temperature_scale) DIFFERS(query_gated) DIFFERS(delta_key_heads) DIFFERS(delta_value_heads) DIFFERS(delta_key_dim)
    DIFFERS(delta_value_dim) DIFFERS(delta_taps)
#undef DIFFERS
    size_t layers = (size_t)a->layers * sizeof(int);
    if (memcmp(a->heads, b->heads, layers) != 0 || memcmp(a->kv_heads, b->kv_heads, layers) != 0) return "number of heads";
    if (memcmp(a->head_dim, b->head_dim, layers) != 0) return "size of heads";
    if (memcmp(a->keys_of, b->keys_of, sizeof a->keys_of) != 0) return "layers that share keys";
    if (memcmp(a->ff_doubled, b->ff_doubled, sizeof a->ff_doubled) != 0) return "feed-forward widths";
    if (memcmp(a->keyed_values, b->keyed_values, sizeof a->keyed_values) != 0) return "values that are keys";
    if (memcmp(a->sparse, b->sparse, sizeof a->sparse) != 0) return "which layers route";
    if (memcmp(a->window, b->window, sizeof a->window) != 0) return "windows";
    if (memcmp(a->mixer, b->mixer, sizeof a->mixer) != 0) return "kinds of layers";
    if (memcmp(a->unrotated, b->unrotated, sizeof a->unrotated) != 0) return "layers that rotate";
    if (!near(a->rope_attention, b->rope_attention)) return "rope_attention";
    if (a->rope_scaling == SL_ROPE_LLAMA3) return NULL; /* divisors in the new file */
    if (a->rope_scaling == SL_ROPE_DIVIDED && memcmp(a->rope_divisor, b->rope_divisor, sizeof a->rope_divisor) != 0) return "rope divisors";
    if (a->rope_turning != b->rope_turning) return "rope of which a part stands still";
    bool longer = a->rope_scaling == SL_ROPE_DIVIDED && sl__keeps_long_rope(a);
    if (longer && (!b->rope_long || memcmp(a->rope_long_divisor, b->rope_long_divisor, sizeof a->rope_long_divisor) != 0)) return "rope divisors";
    bool same = a->rope_scaling == b->rope_scaling && (a->rope_scaling == SL_ROPE_DIVIDED || a->rope_factor == b->rope_factor);
    if (same && a->rope_scaling == SL_ROPE_YARN)
        same = a->rope_low == b->rope_low && a->rope_high == b->rope_high && a->rope_original == b->rope_original &&
               a->rope_truncate == b->rope_truncate;
    return same ? NULL : "rope scaling";
}

static sl_status look(const conversion *v, const char *path) {
    sl_model *made = NULL;
    sl_status s = sl_model_open(path, &made, v->e);
    if (s != SL_OK) return sl_error_prefix(v->e, "the new file cannot be opened");
    const char *what = difference(&v->model->hp, &made->hp);
    if (what)
        s = sl_fail(v->e, SL_UNSUPPORTED, "%s: the model's %s is nothing that a GGUF file of architecture %s can say", v->c->src,
                    what, made->family->gguf_arch);
    sl_model_close(made);
    return s;
}

/* A whole file is looked at while it has no name; parts find each other by their names, so they have to have them. */
static sl_status commit(conversion *v) {
    char path[64];
    sl_status s = SL_OK;
    if (v->plan.files == 1) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", v->out[0].fd);
        s = look(v, path);
    }
    int named = v->plan.files;
    for (; named > 0 && s == SL_OK; named--) s = sl__output_commit(&v->out[named - 1], v->c->force, v->e);
    if (s == SL_OK && v->plan.files > 1) s = look(v, v->out[0].path);
    for (int i = named; s != SL_OK && v->plan.files > 1 && i < v->plan.files; i++)
        if (i > named || named == 0) unlink(v->out[i].path);
    return s;
}

static sl_status prepare(conversion *v) {
    const sl_convert_config *c = v->c;
    sl_machine machine;
    sl_machine_read(&machine);
    sl_status s = sl__mix_find(c->type, &v->mix, v->e);
    if (s == SL_OK) s = sl_model_open(c->src, &v->model, v->e);
    if (s != SL_OK) return s;
    *v->notes = *sl_model_notes(v->model);
    s = sl__plan_make(v->model, v->arena, &v->plan, v->e);
    if (s == SL_OK && c->imatrix && c->imatrix[0]) s = sl__imatrix_open(c->imatrix, &v->plan, v->arena, v->notes, &v->imatrix, v->e);
    if (s == SL_OK) s = sl__plan_types(&v->plan, v->mix, v->imatrix != NULL, (uint64_t)c->split_size, v->e);
    if (s == SL_OK && v->plan.files > 1000)
        s = sl_fail_param(v->e, SL_MISUSE, "split-size", "--split-size would make %d files, more than 1000", v->plan.files);
    if (s == SL_OK) s = check_destination(v);
    if (s == SL_OK) s = sl__keys_model(&v->plan, v->mix, &v->keys, v->notes, v->e);
    if (s == SL_OK && strcmp(v->model->container, "gguf") != 0) s = sl__keys_tokenizer(v->model, v->arena, &v->keys, v->notes, v->e);
    if (s == SL_OK && v->imatrix) sl__imatrix_keys(v->imatrix, &v->keys);
    if (s != SL_OK) return s;
    note_types(v);
    v->out = sl_arena_array(v->arena, SL_MEM_OTHER, (size_t)v->plan.files, sizeof *v->out);
    if (!v->out) return sl_fail(v->e, SL_NOMEM, "out of memory for %s", c->dst);
    for (int i = 0; i < v->plan.files; i++) v->out[i].fd = -1;
    return sl__rows_new(&v->plan, c->threads ? c->threads : machine.threads, &v->rows, v->e);
}

sl_status sl_convert(const sl_convert_config *c, sl_convert_report *ret, sl_error *e) {
    conversion v = {.c = c, .arena = sl_arena_new(), .notes = &ret->notes, .e = e};
    *ret = (sl_convert_report){0};
    sl_status s = v.arena ? prepare(&v) : sl_fail(e, SL_NOMEM, "out of memory for %s", c->src);
    for (int i = 0; i < v.plan.files && s == SL_OK; i++) s = write_file(&v, i);
    if (s == SL_OK) s = commit(&v);
    ret->bytes = v.plan.bytes;
    ret->tensors = v.plan.count;
    ret->files = v.plan.files;
    for (int i = 0; v.out && i < v.plan.files; i++) sl__output_drop(&v.out[i]);
    v.rows = sl__rows_free(v.rows);
    sl__imatrix_close(v.imatrix);
    sl_buffer_done(&v.keys.bytes);
    sl_model_close(v.model);
    sl_arena_free(v.arena);
    return s;
}
