/* family.h: what a family of models is made of: the hyperparameters, and one row of data a family.
 * Constant; any thread. No functions but the look-up.
 *
 * To add a family: write src/families/NAME.c with one sl_family row, add it to list.h, and, where its structure is new, a
 * variant in forward/ or experts/ named after the structure. No code outside this folder asks for a family's name. */
#ifndef SL_FAMILIES_FAMILY_H
#define SL_FAMILIES_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

#define SL_MAX_LAYERS 512
#define SL_MAX_EXPERTS 512

/* Where the RMS norm of q and k stands. */
typedef enum sl_qk_norm {
    SL_QK_NORM_NONE,
    SL_QK_NORM_HEAD, /* weight [head_dim], each head by itself, before rope */
    SL_QK_NORM_FULL, /* weight [heads * head_dim], one statistic over the whole projection, before rope */
} sl_qk_norm;

typedef enum sl_rope_style {
    SL_ROPE_HALF,        /* pairs (j, j + dims/2) */
    SL_ROPE_INTERLEAVED, /* pairs (2j, 2j + 1) */
} sl_rope_style;

typedef enum sl_rope_scaling { SL_ROPE_PLAIN, SL_ROPE_LINEAR, SL_ROPE_LLAMA3, SL_ROPE_YARN } sl_rope_scaling;

/* Router logits to scores. */
typedef enum sl_router_score {
    SL_ROUTER_SOFTMAX, /* over all experts, then top-k */
} sl_router_score;

typedef enum sl_router_norm {
    SL_ROUTER_KEEP, /* weights as the scores are */
    SL_ROUTER_SUM,  /* divided by the sum over the chosen */
} sl_router_norm;

typedef enum sl_shared_gate {
    SL_SHARED_NONE,    /* no shared expert */
    SL_SHARED_SIGMOID, /* sigmoid(g . h) times the shared expert's output */
} sl_shared_gate;

/* What model/ fills from the file, every field with its range checked. Sizes in values. */
typedef struct sl_hparams {
    int vocab;        /* rows of the embedding, 1 … 2^20 */
    int context;      /* positions the model was made for */
    int width;        /* hidden size */
    int layers;       /* 1 … SL_MAX_LAYERS */
    int heads, kv_heads;
    int head_dim;     /* need not be width / heads */
    int ff;           /* width of the dense feed-forward layers, 0: none */
    float norm_eps;

    sl_qk_norm qk_norm;
    float qkv_clip;   /* clamp q, k, v to ±this after the norm; 0: off */

    sl_rope_style rope_style;
    int rope_dims;    /* rotated values of a head, the first ones; even */
    float rope_theta;
    sl_rope_scaling rope_scaling;
    float rope_factor, rope_low, rope_high;   /* llama3: low and high frequency factors; yarn: beta_slow, beta_fast */
    int rope_original;                        /* positions before scaling */
    float rope_attention;                     /* factor on cosine and sine; 1 */
    bool rope_truncate;                       /* yarn: round the corners */

    int experts;      /* 0: a dense model */
    int experts_used; /* top-k */
    int expert_ff;    /* width of one expert */
    sl_router_score router_score;
    sl_router_norm router_norm;
    sl_shared_gate shared_gate;
    int shared_ff;    /* width of the shared expert, 0: none */
    bool sparse[SL_MAX_LAYERS]; /* which layers route; the others use ff */

    bool tied;        /* the embedding is the output matrix too */
} sl_hparams;

/* One family. Strings are static. */
typedef struct sl_family {
    const char *name;       /* "mixtral", as in metrics and inspect */
    const char *gguf_arch;  /* general.architecture */
    const char *hf_type;    /* config.json model_type */
    bool routed;            /* has experts: tells apart families that share a gguf_arch */
    bool gguf_qk_permuted;  /* the GGUF converter reordered q and k rows, so rope is interleaved there */
    sl_qk_norm qk_norm;
    bool qkv_bias;          /* default of the Hugging Face class; the tensors decide */
    sl_router_norm router_norm;      /* default, where neither file nor key tells */
    const char *hf_router_norm_key;  /* "norm_topk_prob", or NULL: router_norm always */
    sl_shared_gate shared_gate;
    const char *hf_experts_key, *hf_expert_ff_key, *hf_shared_ff_key; /* NULL: there is none */
    const char *hf_router_name;      /* tensor names below model.layers.N. : "mlp.gate.weight" */
    const char *hf_expert_name[3];   /* gate, up, down: "mlp.experts.%d.gate_proj.weight" */
    const char *hf_shared_name[3];
    const char *hf_shared_gate_name;
    bool hf_dense_rule;              /* mlp_only_layers and decoder_sparse_step apply */
    /* Class defaults of config.json keys that may be absent. */
    float default_norm_eps, default_rope_theta;
    int default_kv_heads; /* 0: as heads */
    int default_head_dim; /* 0: width / heads */
    int default_experts, default_experts_used;
    bool default_tied;
} sl_family;

/* The row for a GGUF architecture (routed: does the file have experts?) or a config.json model_type; NULL: unknown. */
const sl_family *sl_family_by_gguf(const char *arch, bool routed);
const sl_family *sl_family_by_hf(const char *model_type);
/* Row i, NULL past the last: for messages that list what is known. */
const sl_family *sl_family_at(int i);

#endif
