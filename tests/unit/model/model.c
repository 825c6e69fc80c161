/* Whole models: the reference checkpoints in both containers, parts and shards that do not fit, and what opening costs. */
#include "model/internal.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "writer.h"

static sl_model *open_reference(const char *name) {
    char path[512];
    sl_error e;
    sl_model *m = NULL;
    snprintf(path, sizeof path, "%s/reference/%s", getenv("SLUICE_TESTS"), name);
    ck_assert_msg(sl_model_open(path, &m, &e) == SL_OK, "%s", e.message);
    return m;
}

START_TEST(checkpoints_open) {
    char text[16384];
    size_t n = read_test_file("reference/list.json", text, sizeof text);
    sl_json top;
    ck_assert_int_eq(sl_json_parse(text, n, "list.json", &top, NULL), SL_OK);
    ck_assert_uint_ge(sl_json_size(&top), 20);
    for (size_t i = 0; i < sl_json_size(&top); i++) {
        const json_t *row = json_array_get(top.v, i);
        sl_model *m = open_reference(json_string_value(json_object_get(row, "model")));
        ck_assert_str_eq(m->family->name, json_string_value(json_object_get(row, "family")));
        ck_assert_str_eq(m->container, json_string_value(json_object_get(row, "container")));
        ck_assert_str_eq(m->type, json_string_value(json_object_get(row, "type")));
        ck_assert(m->active_parameters <= m->parameters && m->expert_bytes < m->mapped_bytes);
        sl_tensor_entry t;
        uint64_t bytes = 0;
        for (int j = 0; sl_model_tensor(m, j, &t); j++) bytes += t.used ? t.bytes : 0;
        ck_assert_uint_eq(bytes, m->mapped_bytes);
        sl_model_close(m);
    }
    json_decref(top.v);
}
END_TEST

/* permuted: GGUF row h D + 2 j + s is the Hugging Face row h D + s D/2 + j. */
static void same_rows(const sl_matrix *g, const sl_matrix *h, int head_dim) {
    ck_assert(g->rows == h->rows && g->cols == h->cols);
    if (g->type != h->type) return;
    for (int r = 0; r < g->rows; r++) {
        int in = head_dim ? r % head_dim : 0;
        int from = head_dim ? r - in + (in % 2) * (head_dim / 2) + in / 2 : r;
        ck_assert_int_eq(memcmp(g->data + (size_t)r * g->stride, h->data + (size_t)from * h->stride, g->stride), 0);
    }
}

static void same_ffn(const sl_ffn_weights *g, const sl_ffn_weights *h) {
    same_rows(&g->gate, &h->gate, 0), same_rows(&g->up, &h->up, 0), same_rows(&g->down, &h->down, 0);
}

static void same_floats(const float *g, const float *h, int n) {
    ck_assert_int_eq(g == NULL, h == NULL);
    for (int i = 0; g && i < n; i++) ck_assert(g[i] == h[i]);
}

/* The same checkpoint from both containers: the same weights behind the same pointers. */
START_TEST(containers_agree) {
    static const char *const names[] = {"llama-gqa-llama3", "llama-mha-bias", "mixtral-gqa", "mixtral-top1", "olmoe-mha",
                                        "qwen2moe-gqa", "qwen3moe-gqa", "qwen3-gqa-yarn"};
    char path[128];
    snprintf(path, sizeof path, "checkpoints/%s.gguf", names[_i]);
    sl_model *g = open_reference(path);
    snprintf(path, sizeof path, "checkpoints/%s", names[_i]);
    sl_model *h = open_reference(path);
    const sl_hparams *a = &g->hp, *b = &h->hp;
    ck_assert(a->vocab == b->vocab && a->width == b->width && a->layers == b->layers);
    for (int i = 0; i < a->layers; i++)
        ck_assert(a->heads[i] == b->heads[i] && a->kv_heads[i] == b->kv_heads[i] && a->head_dim[i] == b->head_dim[i]);
    ck_assert(a->ff == b->ff && a->norm_eps == b->norm_eps);
    ck_assert(a->experts == b->experts && a->experts_used == b->experts_used && a->expert_ff == b->expert_ff);
    ck_assert(a->shared_ff == b->shared_ff && a->tied == b->tied && a->qk_norm == b->qk_norm && a->router_norm == b->router_norm);
    ck_assert(a->rope_theta == b->rope_theta && a->rope_dims == b->rope_dims && a->rope_attention == b->rope_attention);
    int dim = a->head_dim[0], permuted = g->family->gguf_qk_permuted ? dim : 0, q = a->heads[0] * dim;
    same_rows(&g->embedding, &h->embedding, 0);
    same_rows(&g->output, &h->output, 0);
    same_floats(g->output_norm, h->output_norm, a->width);
    for (int i = 0; i < a->layers; i++) {
        const sl_layer *x = &g->layer[i], *y = &h->layer[i];
        same_rows(&x->q, &y->q, permuted), same_rows(&x->k, &y->k, permuted);
        same_rows(&x->v, &y->v, 0), same_rows(&x->o, &y->o, 0);
        same_floats(x->attn_norm, y->attn_norm, a->width), same_floats(x->ffn_norm, y->ffn_norm, a->width);
        if (!permuted) same_floats(x->q_bias, y->q_bias, q);
        same_floats(x->v_bias, y->v_bias, a->kv_heads[0] * dim), same_floats(x->o_bias, y->o_bias, a->width);
        same_floats(x->q_norm, y->q_norm, a->qk_norm == SL_QK_NORM_FULL ? q : dim);
        ck_assert(a->sparse[i] == b->sparse[i]);
        if (!a->sparse[i]) same_ffn(&x->dense, &y->dense);
        if (!a->sparse[i]) continue;
        same_rows(&x->router, &y->router, 0);
        for (int j = 0; j < a->experts; j++) same_ffn(&x->experts[j], &y->experts[j]);
        if (a->shared_ff) same_ffn(&x->shared, &y->shared);
        same_floats(x->shared_gate, y->shared_gate, a->width);
    }
    sl_model_close(g);
    sl_model_close(h);
}
END_TEST

/* Files in a folder of their own under /tmp. */
static char folder[64];

static void make_folder(void) {
    strcpy(folder, "/tmp/sluice-model-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void put_file(const char *name, const void *data, size_t n) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

/* A copy of a file of the reference checkpoints, with `from` (if any) replaced by `to` of the same length. */
static void copy(const char *file, const char *as, const char *from, const char *to) {
    static char data[1 << 20];
    char path[256];
    snprintf(path, sizeof path, "reference/checkpoints/%s", file);
    size_t n = read_test_file(path, data, sizeof data);
    if (from) {
        char *at = memmem(data, n, from, strlen(from));
        ck_assert(at && strlen(from) == strlen(to));
        memcpy(at, to, strlen(to));
    }
    put_file(as, data, n);
}

static void open_fails(const char *name, const char *part) {
    char path[256];
    sl_error e = {0};
    sl_model *m = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_ne(sl_model_open(path, &m, &e), SL_OK);
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(e.message, part), "\"%s\" lacks \"%s\"", e.message, part);
}

START_TEST(split_parts) {
    make_folder();
    copy("qwen3-mha-00001-of-00003.gguf", "m-00001-of-00003.gguf", NULL, NULL);
    open_fails("m-00001-of-00003.gguf", "m-00002-of-00003.gguf");
    /* A part in the place of another: a cycle back to the first, and the third twice. */
    copy("qwen3-mha-00001-of-00003.gguf", "m-00002-of-00003.gguf", NULL, NULL);
    open_fails("m-00001-of-00003.gguf", "part 2 of 3");
    copy("qwen3-mha-00003-of-00003.gguf", "m-00002-of-00003.gguf", NULL, NULL);
    copy("qwen3-mha-00003-of-00003.gguf", "m-00003-of-00003.gguf", NULL, NULL);
    open_fails("m-00001-of-00003.gguf", "says that it is part 3 of 3, not 2 of 3");
    copy("qwen3-mha-00002-of-00003.gguf", "m-00002-of-00003.gguf", NULL, NULL);
    copy("qwen3-mha-00001-of-00003.gguf", "m.gguf", NULL, NULL);
    open_fails("m.gguf", "its name must end with -00001-of-00003.gguf");
    open_fails("m-00002-of-00003.gguf", "give the first part");
    char path[256];
    sl_error e;
    sl_model *m = NULL;
    snprintf(path, sizeof path, "%s/m-00001-of-00003.gguf", folder);
    ck_assert_msg(sl_model_open(path, &m, &e) == SL_OK, "%s", e.message);
    ck_assert(m->files == 3 && strcmp(m->name, "qwen3-mha") == 0);
    sl_model_close(m);
    remove_folder();
}
END_TEST

static sl_model *open_good(const char *name) {
    char path[256];
    sl_error e = {0};
    sl_model *m = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(sl_model_open(path, &m, &e) == SL_OK, "%s", e.message);
    return m;
}

static void put_text_file(const char *name, const char *text) { put_file(name, text, strlen(text)); }

START_TEST(folders) {
    make_folder();
    open_fails("", "config.json");
    copy("mixtral-gqa/config.json", "config.json", NULL, NULL);
    open_fails("", "model.safetensors");
    put_file("model.safetensors", "", 0);
    open_fails("", "model.safetensors");
    copy("mixtral-gqa/model.safetensors", "model.safetensors", "block_sparse_moe.gate", "block_sparse_moe.gaze");
    open_fails("", "block_sparse_moe.gate.weight\" is missing");
    copy("mixtral-gqa/model.safetensors", "model.safetensors", "\"model.norm.weight\"", "\"model.norm.weighs\"");
    open_fails("", "tensor \"model.norm.weight\" is missing");
    remove_folder();
}
END_TEST

/* A string of a GGUF file becomes a shorter one, and general.name so much longer: nothing behind it moves. */
static void shorten(char *data, size_t n, const char *from, const char *to) {
    size_t less = strlen(from) - strlen(to);
    uint64_t len, new_len = strlen(to);
    char *at = memmem(data, n, from, strlen(from)), *name = memmem(data, n, "general.name", 12);
    ck_assert_msg(at && name, "%s", from);
    name += 12 + sizeof(uint32_t); /* its type */
    memcpy(&len, name, sizeof len);
    char *end = name + sizeof len + len, *at_len = at - sizeof new_len;
    ck_assert(end < at_len);
    memmove(end + less, end, (size_t)(at_len - end));
    memset(end, ' ', less);
    memcpy(at_len + less, &new_len, sizeof new_len);
    memcpy(at + less, to, strlen(to));
    len += less;
    memcpy(name, &len, sizeof len);
}

/* What Ollama's converter calls otherwise, and a count of layers that foretell tokens where there are none: the model is the same. */
START_TEST(other_spellings) {
    static char data[1 << 20];
    uint32_t one = 1;
    size_t n = read_test_file("reference/checkpoints/qwen35-dense.gguf", data, sizeof data);
    shorten(data, n, "blk.0.ssm_dt.bias", "blk.0.ssm_dt");
    shorten(data, n, "qwen35.full_attention_interval", "qwen35.nextn_predict_layers");
    char *key = memmem(data, n, "qwen35.nextn_predict_layers", 27);
    memcpy(key + 27 + sizeof(uint32_t), &one, sizeof one);
    make_folder();
    put_file("m.gguf", data, n);
    copy("qwen35-dense.gguf", "n.gguf", NULL, NULL);
    sl_model *m = open_good("m.gguf"), *usual = open_good("n.gguf");
    ck_assert(m->hp.layers == 3 && m->parameters == usual->parameters && m->layer[2].delta.decay_bias);
    ck_assert(m->layer[0].delta.decay_bias && usual->layer[0].delta.decay_bias);
    ck_assert_mem_eq(m->layer[0].delta.decay_bias, usual->layer[0].delta.decay_bias, (size_t)m->hp.delta_value_heads * sizeof(float));
    sl_model_close(m);
    sl_model_close(usual);
    remove_folder();
}
END_TEST

/* A class without an output was saved: its names lack what stands in front of them in one with an output, where transformers puts it. */
START_TEST(saved_without_output) {
    static const char *const checkpoints[] = {"qwen3-gqa-yarn", "qwen2moe-mixed"}; /* both tied */
    static char data[1 << 20];
    for (int i = 0; i < 2; i++) {
        char path[256], name[64];
        make_folder();
        snprintf(name, sizeof name, "%s/config.json", checkpoints[i]);
        copy(name, "config.json", NULL, NULL);
        snprintf(path, sizeof path, "reference/checkpoints/%s/model.safetensors", checkpoints[i]);
        size_t n = read_test_file(path, data, sizeof data);
        for (char *at = data; (at = memmem(at, n - (size_t)(at - data), "\"model.", 7)) != NULL;) memcpy(at, "      \"", 7);
        put_file("model.safetensors", data, n);
        sl_model *m = open_good("");
        const sl_hparams *hp = &m->hp;
        ck_assert(m->embedding.rows == hp->vocab && m->output.data == m->embedding.data && hp->tied);
        for (int j = 0; j < hp->layers; j++) {
            const sl_layer *l = &m->layer[j];
            ck_assert(l->q.data && l->attn_norm && (hp->sparse[j] ? l->experts[0].up.data : l->dense.up.data));
        }
        sl_model_close(m);
        remove_folder();
    }
}
END_TEST

/* mixtral-top1 has four shards. What counts is what the files hold, as for transformers; of one file and an index, the file. */
static void put_shards(void) {
    char from[64], to[64];
    copy("mixtral-top1/config.json", "config.json", NULL, NULL);
    for (int i = 1; i <= 4; i++) {
        snprintf(from, sizeof from, "mixtral-top1/model-%05d-of-00004.safetensors", i);
        snprintf(to, sizeof to, "model-%05d-of-00004.safetensors", i);
        copy(from, to, NULL, NULL);
    }
}

#define SHARDS "\"b\":\"model-00002-of-00004.safetensors\",\"c\":\"model-00003-of-00004.safetensors\",\"d\":\"model-00004-of-00004.safetensors\""

START_TEST(indexes) {
    make_folder();
    put_shards();
    const char *const bad[][2] = {
        {"{}", "weight_map"},
        {"{\"weight_map\":{}}", "names no file"},
        {"{\"weight_map\":{\"a\":\"../model.safetensors\"}}", "plain name"},
        {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "plain name"},
        {"{\"weight_map\":{\"a\":7}}", "weight_map.a"},
        {"{\"weight_map\":{\"a\":\"b.safetensors\"}}", "b.safetensors"},
        {"{\"weight_map\":{" SHARDS "}}", "is missing"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_text_file("model.safetensors.index.json", bad[i][0]);
        open_fails("", bad[i][1]);
    }
    /* It names tensors that no file has, and not one of those that the files have; the total is too large for an integer. */
    put_text_file("model.safetensors.index.json",
                  "{\"metadata\":{\"total_size\":1e400},\"weight_map\":{\"lm_head.bias\":\"model-00001-of-00004.safetensors\","
                  SHARDS "}}");
    sl_model *m = open_good("");
    ck_assert(m->files == 4 && sl_model_notes(m)->count == 0);
    sl_model_close(m);
    /* A tensor in two files: the last file's is used. */
    copy("mixtral-top1/model-00001-of-00004.safetensors", "model-00005-of-00004.safetensors", NULL, NULL);
    put_text_file("model.safetensors.index.json",
                  "{\"weight_map\":{\"e\":\"model-00005-of-00004.safetensors\",\"a\":\"model-00001-of-00004.safetensors\","
                  SHARDS "}}");
    m = open_good("");
    sl_tensor_entry t;
    int fifth = 0, first = 0;
    for (int i = 0; sl_model_tensor(m, i, &t); i++) fifth += strstr(t.file, "00005-of") != NULL, first += strstr(t.file, "00001-of") != NULL;
    ck_assert(m->files == 5 && fifth > 0 && first == 0);
    ck_assert(sl_model_notes(m)->count == 1 && strstr(sl_model_notes(m)->text[0], "in more than one file"));
    sl_model_close(m);
    /* One file beside an older index. */
    copy("mixtral-gqa/config.json", "config.json", NULL, NULL);
    copy("mixtral-gqa/model.safetensors", "model.safetensors", NULL, NULL);
    m = open_good("");
    ck_assert_int_eq(m->files, 1);
    ck_assert(sl_model_notes(m)->count == 1 &&
              strstr(sl_model_notes(m)->text[0], "model.safetensors is read, model.safetensors.index.json beside it is not"));
    sl_model_close(m);
    put_text_file("model.safetensors.index.json", "not even JSON");
    sl_model_close(open_good(""));
    remove_folder();
}
END_TEST

/* A model that is said to be tied and has an output matrix: if it is the embedding once more, it is not read; if it is another one,
 * as in models that were trained on untied, it is used, as transformers 5 does. */
START_TEST(an_output_beside_tied_weights) {
    static char data[1 << 20];
    make_folder();
    copy("mixtral-gqa/config.json", "config.json", "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true ");
    copy("mixtral-gqa/model.safetensors", "model.safetensors", NULL, NULL);
    sl_model *m = open_good("");
    ck_assert(!m->hp.tied && m->output.data != m->embedding.data && sl_model_notes(m)->count == 1);
    ck_assert_ptr_nonnull(strstr(sl_model_notes(m)->text[0], "\"lm_head.weight\" is another one than the embedding"));
    size_t bytes = m->output.stride * (size_t)m->hp.vocab, n = read_test_file("reference/checkpoints/mixtral-gqa/model.safetensors", data, sizeof data);
    char *output = memmem(data, n, m->output.data, bytes);
    ck_assert_ptr_nonnull(output);
    memcpy(output, m->embedding.data, bytes);
    sl_model_close(m);
    put_file("model.safetensors", data, n);
    m = open_good("");
    ck_assert(m->hp.tied && m->output.data == m->embedding.data && sl_model_notes(m)->count == 0);
    sl_model_close(m);
    output[bytes - 1] ^= 1; /* the last row counts, as the first one does */
    put_file("model.safetensors", data, n);
    m = open_good("");
    ck_assert(!m->hp.tied);
    sl_model_close(m);
    remove_folder();
}
END_TEST

static void make(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_int_eq(mkdir(path, 0777), 0);
}

/* What people give instead of a model: the message says what it is, and what to give. */
START_TEST(mistaken) {
    make_folder();
    const char *const files[][3] = {
        {"a.gguf", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"},
        {"a.bin", "PK\x03\x04 archive/data.pkl and what follows", "PyTorch's pickled checkpoints are not read"},
        {"a.html", "<!DOCTYPE html><html>Access denied</html>", "a web page"},
        {"config.json", "{\"model_type\":\"llama\",\"vocab_size\":1}", "give the folder that it lies in"},
        {"a.ggml", "tjgg0000000000000000000000000000", "from before GGUF"},
        {"a.txt", "nothing that is known, but a text of some length", "does not begin with \"GGUF\""},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        put_text_file(files[i][0], files[i][1]);
        open_fails(files[i][0], files[i][2]);
    }
    copy("mixtral-gqa/model.safetensors", "b.safetensors", NULL, NULL);
    open_fails("b.safetensors", "it is a safetensors file: give the folder that it lies in");
    put_text_file("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    copy("mixtral-gqa/config.json", "config.json", NULL, NULL);
    open_fails("", "model.safetensors is no safetensors file: a Git LFS pointer");
    put_text_file("tokenizer.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
    open_fails("", "tokenizer.json is no JSON text: a Git LFS pointer");
    put_text_file("config.json", "<!DOCTYPE html><html>Access denied</html>");
    open_fails("", "config.json is no JSON text: it is a web page");
    remove_folder();

    const char *const names[][2] = { /* a file in a folder with config.json */
        {"pytorch_model.bin", "there is no model.safetensors; pytorch_model.bin is PyTorch's"},
        {"pytorch_model.bin.index.json", "there is no model.safetensors; pytorch_model.bin.index.json is PyTorch's"},
        {"model-00001-of-00002.safetensors", "model.safetensors.index.json, which lists them, is missing"},
        {"adapter_model.safetensors", "an adapter (LoRA)"},
        {"consolidated.00.pth", "consolidated.00.pth is PyTorch's"},
        {"consolidated.safetensors", "the publisher's own format"},
        {"model.Q4_K_M.gguf", "model.Q4_K_M.gguf"},
        {"other.safetensors", "other.safetensors has another name"},
        {"README.md", "there is no model.safetensors"},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        make_folder();
        copy("mixtral-gqa/config.json", "config.json", NULL, NULL);
        put_text_file(names[i][0], "x");
        open_fails("", names[i][1]);
        remove_folder();
    }

    make_folder(); /* a cache, as huggingface_hub lays it out: links into blobs */
    make("models--org--tiny"), make("models--org--tiny/refs"), make("models--org--tiny/snapshots");
    make("models--org--tiny/snapshots/0aaa"), make("models--org--tiny/snapshots/1bbb"), make("models--org--tiny/blobs");
    open_fails("", "models--org--tiny/snapshots/0aaa");
    make("home"), make("home/hub"), make("home/xet");
    open_fails("home", "it may be a cache's folder; give a snapshot in ");
    open_fails("models--org--tiny", "/models--org--tiny/snapshots/0aaa");
    put_text_file("models--org--tiny/refs/main", "1bbb");
    open_fails("models--org--tiny", "it is a repository's folder in a cache; give");
    open_fails("models--org--tiny", "/models--org--tiny/snapshots/1bbb");
    copy("mixtral-gqa/config.json", "models--org--tiny/snapshots/1bbb/config.json", NULL, NULL);
    open_fails("models--org--tiny/snapshots", "/models--org--tiny/snapshots/1bbb: give that folder");
    char path[256];
    snprintf(path, sizeof path, "%s/models--org--tiny/snapshots/1bbb/model.safetensors", folder);
    ck_assert_int_eq(symlink("../../blobs/c0ffee", path), 0);
    open_fails("models--org--tiny/snapshots/1bbb", "model.safetensors is a link to a file that is not there");
    copy("mixtral-gqa/model.safetensors", "models--org--tiny/blobs/c0ffee", NULL, NULL);
    sl_model *m = open_good("models--org--tiny/snapshots/1bbb/");
    ck_assert_str_eq(m->name, "tiny");
    sl_model_close(m);
    remove_folder();
}
END_TEST

/* Every shape of the seed "ones" has dimensions of 1, up to seven in all. */
START_TEST(dimensions_of_one) {
    char data[8192];
    uint16_t config;
    make_folder();
    size_t n = read_test_file("fuzz/safetensors/ones", data, sizeof data);
    memcpy(&config, data, sizeof config);
    put_file("config.json", data + 2, config);
    put_file("model.safetensors", data + 2 + config, n - 2 - config);
    sl_model *m = open_good("");
    ck_assert(m->hp.experts == 2 && m->layer[0].shared.up.rows == 2 && m->layer[0].q.cols == 4 && m->layer[0].shared_gate);
    sl_model_close(m);
    remove_folder();
}
END_TEST

START_TEST(no_model) {
    sl_model *m = NULL;
    sl_error e;
    ck_assert_int_ne(sl_model_open("/nonexistent/model.gguf", &m, &e), SL_OK);
    ck_assert_msg(strstr(e.message, "/nonexistent/model.gguf"), "%s", e.message);
    ck_assert_int_ne(sl_model_open("/nonexistent/model.gguf", &m, NULL), SL_OK);
    ck_assert_int_eq(sl_model_open("Qwen/Qwen3-30B-A3B", &m, &e), SL_NOT_FOUND);
    ck_assert_msg(strstr(e.message, "models are not downloaded"), "%s", e.message);
    ck_assert_ptr_null(m);
    ck_assert_ptr_null(sl_model_close(NULL));
    ck_assert_ptr_null(open_bytes("", 0, &e));
}
END_TEST

/* 48 layers of 128 experts, a tensor an expert and matrix: 18,432 names. */
START_TEST(many_tensors) {
    enum { LAYERS = 48, EXPERTS = 128 };
    sl_buffer b = {0};
    sl_buffer_puts(&b, "GGUF");
    put_u32(&b, 3);
    put_u64(&b, 3 + LAYERS * (7 + 3 * EXPERTS));
    put_u64(&b, 13);
    put_kv_text(&b, "general.architecture", "llama");
    put_kv_u32(&b, "llama.block_count", LAYERS);
    put_kv_u32(&b, "llama.context_length", 8);
    put_kv_u32(&b, "llama.embedding_length", 4);
    put_kv_u32(&b, "llama.feed_forward_length", 2);
    put_kv_u32(&b, "llama.attention.head_count", 2);
    put_kv_f32(&b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_kv_u32(&b, "llama.expert_count", EXPERTS);
    put_kv_u32(&b, "llama.expert_used_count", 8);
    put_kv_f32(&b, "llama.rope.freq_base", 10000);
    put_kv_text(&b, "tokenizer.ggml.model", "none");
    put_kv_text(&b, "general.name", "many");
    put_kv_u32(&b, "general.alignment", 32);
    uint64_t at = 0;
    char name[64];
#define INFO(rows, cols, ...)                                                                                          \
    do {                                                                                                               \
        snprintf(name, sizeof name, __VA_ARGS__);                                                                      \
        put_text(&b, name), put_u32(&b, 2), put_u64(&b, cols), put_u64(&b, rows), put_u32(&b, 0), put_u64(&b, at);     \
        at += ((uint64_t)(rows) * (cols) * 4 + 31) / 32 * 32;                                                          \
    } while (0)
    INFO(2, 4, "token_embd.weight");
    INFO(2, 4, "output.weight");
    INFO(1, 4, "output_norm.weight");
    for (int i = 0; i < LAYERS; i++) {
        INFO(1, 4, "blk.%d.attn_norm.weight", i);
        INFO(1, 4, "blk.%d.ffn_norm.weight", i);
        INFO(4, 4, "blk.%d.attn_q.weight", i);
        INFO(4, 4, "blk.%d.attn_k.weight", i);
        INFO(4, 4, "blk.%d.attn_v.weight", i);
        INFO(4, 4, "blk.%d.attn_output.weight", i);
        INFO(EXPERTS, 4, "blk.%d.ffn_gate_inp.weight", i);
        for (int j = 0; j < EXPERTS; j++) {
            INFO(2, 4, "blk.%d.ffn_gate.%d.weight", i, j);
            INFO(2, 4, "blk.%d.ffn_up.%d.weight", i, j);
            INFO(4, 2, "blk.%d.ffn_down.%d.weight", i, j);
        }
    }
    size_t need = b.len + 32 + (size_t)at;
    ck_assert(sl_buffer_reserve(&b, need));
    memset(b.data + b.len, 0, need - b.len);
    sl_error e;
    uint64_t start = sl_clock_ns();
    sl_model *m = open_bytes(b.data, need, &e);
    uint64_t took = sl_clock_ns() - start;
    ck_assert_msg(m != NULL, "%s", e.message);
    ck_assert_uint_eq(m->expert_bytes, (uint64_t)LAYERS * EXPERTS * 3 * 32);
    ck_assert_uint_eq(m->parameters - m->active_parameters, (uint64_t)LAYERS * (EXPERTS - 8) * 3 * 8);
    sl_model_close(m);
    sl_buffer_done(&b);
    ck_assert_msg(took < SL_SECOND, "%" PRIu64 " ms", took / 1000000); /* about 10 ms on an idle core */
}
END_TEST

/* Each allocation of opening fails once: an error that says so, or none was needed after all. */
START_TEST(out_of_memory) { /* Promise 3 */
    const char *const names[] = {"checkpoints/mixtral-top1", "checkpoints/qwen2moe-gqa.gguf"};
    char path[512];
    snprintf(path, sizeof path, "%s/reference/%s", getenv("SLUICE_TESTS"), names[_i]);
    int failed = 0;
    for (long n = 1;; n++) {
        sl_error e = {0};
        sl_model *m = NULL;
        sl_alloc_fail_at(n);
        sl_status s = sl_model_open(path, &m, &e);
        sl_alloc_fail_at(0);
        sl_model_close(m);
        if (s == SL_OK) break;
        ck_assert_msg(s == SL_NOMEM && strstr(e.message, "memory"), "%ld: %s", n, e.message);
        failed++;
    }
    ck_assert_int_ge(failed, 5);
}
END_TEST

int main(void) {
    Suite *s = suite_create("model/model");
    TCase *c = tcase_create("model");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, checkpoints_open);
    tcase_add_loop_test(c, containers_agree, 0, 8);
    tcase_add_test(c, split_parts);
    tcase_add_test(c, folders);
    tcase_add_test(c, indexes);
    tcase_add_test(c, an_output_beside_tied_weights);
    tcase_add_test(c, saved_without_output);
    tcase_add_test(c, other_spellings);
    tcase_add_test(c, mistaken);
    tcase_add_test(c, dimensions_of_one);
    tcase_add_test(c, no_model);
    tcase_add_test(c, many_tensors);
    tcase_add_loop_test(c, out_of_memory, 0, 2);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
