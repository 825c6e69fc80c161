/* model.h: a model file or folder, opened: hyperparameters, tensors bound to pointers into the mapping, vocabulary source.
 * Opened and closed by its owner; const in between, any thread.
 *
 * Invariants
 *   1. Weights are used where the mapping has them: nothing is copied but vectors (norms, biases) whose type is not F32,
 *      whose address is not aligned, or whose file holds another number than what is computed with (a norm's weight less 1).
 *   2. Every size was checked against the file and against the hyperparameters: a kernel may trust them.
 *   3. Opening touches headers only; a page of weights is first read when a row needs it. */
#ifndef SL_MODEL_MODEL_H
#define SL_MODEL_MODEL_H

#include "base/arena.h"
#include "base/error.h"
#include "base/notes.h"
#include "base/vocab.h"
#include "families/family.h"
#include "kernels/types.h"

#include <stdint.h>

/* Numbers of a float type where the file has them, at any address: number i at data + i * step. */
typedef struct sl_vector {
    const uint8_t *data; /* NULL: there is no such vector */
    size_t step;
    sl_type type;
} sl_vector;

/* The weights of one feed-forward network: dense, shared, or one expert. */
typedef struct sl_ffn_weights {
    sl_matrix gate, up; /* [ff][width] */
    sl_matrix down;     /* [width][ff] */
    sl_vector gate_bias, up_bias, down_bias; /* [ff], [ff], [width] */
} sl_ffn_weights;

/* Of a gated delta net. Sizes are those of sl_hparams; channels are q of every key head, then k of every key head, then v of every
 * value head. */
typedef struct sl_delta_weights {
    sl_matrix in;       /* [channels][width]. Where `gate` has no data: of each key head its q, its k, its value heads' v and their
                         * gates, [channels + value_heads * value_dim][width] */
    sl_matrix gate;     /* [value_heads * value_dim][width] */
    sl_matrix strength; /* [value_heads][width]. Where `decay` has no data: of each key head its value heads' strengths, then their
                         * decays, [2 * value_heads][width] */
    sl_matrix decay;    /* [value_heads][width] */
    const float *taps;  /* [channels][delta_taps], the newest position last */
    const float *decay_bias, *decay_rate; /* [value_heads]; the rate is negative */
    const float *norm;  /* [value_dim] */
} sl_delta_weights;

typedef struct sl_layer {
    const float *attn_norm, *attn_norm_bias; /* [width]; bias NULL: none */
    sl_matrix q, k, v;      /* [heads * head_dim][width], [kv_heads * head_dim][width] twice; data NULL: no attention, or of v alone:
                             * keyed values. With hparams.query_gated q has twice the rows, and so has its bias */
    bool qkv_fused;         /* they are rows of one tensor, q first, v last; so are their biases */
    const float *q_bias, *k_bias, *v_bias, *o_bias; /* NULL: none */
    const float *q_norm, *k_norm;                   /* NULL: none; length by hparams.qk_norm */
    const float *sinks;     /* [heads], a score for each head that has no value; NULL: none */
    sl_matrix gate;         /* [heads * head_dim][width], of attention's result; data NULL: none */
    sl_matrix o;            /* [width][heads * head_dim], or [value_heads * value_dim] */
    sl_delta_weights delta; /* data NULL: no delta net */
    const float *ffn_norm, *ffn_norm_bias; /* [width]; with parallel wiring the mixer's */
    const float *mixed_norm, *fed_norm; /* [width] of what the mixer and the feed-forward part give; NULL: none */
    sl_matrix own_gate;     /* [layer_input][width]; data NULL: the layer has nothing of a token for itself */
    sl_matrix own_projection; /* [width][layer_input] */
    const float *own_norm;  /* [width] */
    const float *stream_scale; /* [1] what the stream is multiplied by at the layer's end; NULL: nothing */
    sl_ffn_weights dense;   /* of a layer that does not route, or has this beside its experts; data NULL otherwise */
    const float *dense_fed_norm, *routed_norm, *routed_fed_norm; /* [width] with both: after the dense network, before the experts (ffn_norm
                             * being the dense one's), after them; fed_norm is that of their sum */
    const float *router_norm; /* [width] the weight of the norm, over the root of the width, through which the router reads the stream;
                             * NULL: it reads what experts do */
    sl_matrix router;       /* [experts][width] */
    const float *router_offset; /* [experts], part of the logits; NULL: none */
    const float *router_bias; /* [experts], for the choice alone; NULL: none */
    const float *expert_scale; /* [experts], factors on the weights; NULL: none */
    const sl_ffn_weights *experts; /* [hparams.experts]; NULL in a dense layer */
    sl_ffn_weights shared;  /* data NULL: none */
    const float *shared_gate; /* [width]; NULL: none */
} sl_layer;

typedef struct sl_model {
    const sl_family *family;
    sl_hparams hp;
    const char *path;  /* as given */
    const char *name;  /* general.name or the folder's or file's name without suffix: default of --model-name */
    const char *type;  /* the type that most weight bytes have: "Q4_K" */
    const char *container; /* "gguf" or "safetensors" */
    sl_matrix embedding; /* [vocab][width] */
    sl_matrix output;    /* [vocab][width], the embedding's pointer when tied */
    sl_matrix own_inputs;  /* [vocab][layers * layer_input], what layers have of a token for themselves; data NULL: nothing */
    sl_matrix own_projection; /* [layers * layer_input][width], of a token's row, added to these */
    const float *own_norm;    /* [layer_input] */
    const float *output_norm, *output_norm_bias; /* [width]; bias NULL: none */
    const float *output_bias; /* [vocab]; NULL: none */
    const float *rope_divisors; /* [rope_dims / 2], GGUF's rope_freqs; NULL: none */
    const sl_layer *layer;      /* [hp.layers] */

    uint64_t mapped_bytes;  /* weights in the mapping */
    uint64_t expert_bytes;  /* of these, routed experts */
    uint64_t parameters;    /* weights, counted */
    uint64_t active_parameters; /* used by one token */
    int files;
} sl_model;

/* path: a .gguf file (or the first of its split parts), or a folder with config.json, *.safetensors, tokenizer.json.
 * Errors name the file and the key or tensor. */
sl_status sl_model_open(const char *path, sl_model **ret, sl_error *e);
/* For inspect, which shows what is known of a model that it has to refuse: on failure, too, *ret is a model (to be closed), if
 * the tensors' table could be read. Its tensors can be listed; family is NULL, or hp is zero, where that was not reached; it
 * must not be run. *ret is left alone where nothing could be read. */
sl_status sl_model_open_partly(const char *path, sl_model **ret, sl_error *e);
sl_model *sl_model_close(sl_model *m); /* NULL is fine; returns NULL */

/* What was odd about the files and was passed over, for the user to read. The model owns it. */
const sl_notes *sl_model_notes(const sl_model *m);

/* Tensors as the file has them, for inspect: entry i, false past the last. */
typedef struct sl_tensor_entry {
    const char *name, *type; /* type as the file spells it */
    int dims;
    uint64_t shape[4];       /* output features first (row-major) */
    uint64_t bytes;
    const char *file;
    const uint8_t *data;
    bool used;               /* bound to something that the forward pass reads */
} sl_tensor_entry;
bool sl_model_tensor(const sl_model *m, int i, sl_tensor_entry *ret);

/* Key-values of a GGUF file as they stand in it, for convert: entry i, false past the last; a folder has none. */
typedef struct sl_key_entry {
    const char *key;
    size_t key_len;
    const uint8_t *bytes; /* [size] u32 type, then the value */
    size_t size;
} sl_key_entry;
bool sl_model_key(const sl_model *m, int i, sl_key_entry *ret);

/* The vocabulary, for text/. What it points to lies in the mapping or the model's arena. */
const sl_vocab_source *sl_model_vocab(const sl_model *m);

#endif
