/* family.h: what a family of models is made of: the hyperparameters of one model, and one row of data a family.
 * Constant; any thread. No functions but the look-up.
 *
 * To add a family
 *   1. Write src/families/NAME.c with one `const sl_family sl__family_NAME` (copy the row that is nearest; every knob is
 *      explained below), add NAME to list.h and NAME.c to meson.build. What two rows share because one's class is made of
 *      the other's stands once, in a header named after the older one (gemma4.h).
 *   2. Where a knob lacks the value that the family needs, add the enum value here and its variant in forward/ or
 *      experts/, named after the *structure* (SL_ROUTER_SIGMOID, attention_mla), never after the family.
 *   3. A hyperparameter that is new goes into sl_hparams, with its range in model/hparams.c, its GGUF key in
 *      model/gguf_hparams.c and its config.json key in model/config.c; what differs from layer to layer, in gguf_layers.c and
 *      config_layers.c. A tensor that is new goes into model/bind.c, and for convert into convert/plan.c.
 *   4. Add tiny checkpoints of it to tests/reference/; tests/unit/families/family.c then checks the row by itself.
 * No code asks for a family's name: it asks for a knob. */
#ifndef SL_FAMILIES_FAMILY_H
#define SL_FAMILIES_FAMILY_H

#include <stdbool.h>
#include <stdint.h>

#define SL_MAX_LAYERS 512
#define SL_MAX_EXPERTS 512
#define SL_MAX_ROPE_PAIRS 2048

/* What a norm of the residual stream is. */
typedef enum sl_norm {
    SL_NORM_RMS,
    SL_NORM_LAYER, /* the mean is taken off first; a bias may be added at the end */
} sl_norm;

/* How a block's two parts read the stream and add to it. x is the stream, f1 the mixer, f2 the feed-forward part, N a norm each. */
typedef enum sl_wiring {
    SL_WIRING_PRE,      /* x += f1(N x); x += f2(N x) */
    SL_WIRING_SANDWICH, /* x += N f1(N x); x += N f2(N x) */
    SL_WIRING_PARALLEL, /* h = N x, one norm; x += f1(h) + f2(h) */
} sl_wiring;

/* How a layer's rows hear of those before them. */
typedef enum sl_mixer {
    SL_MIXER_ATTENTION,
    SL_MIXER_DELTA, /* gated delta net: a short causal convolution, then the gated delta rule on a state of constant size */
    SL_MIXER_COUNT
} sl_mixer;

/* Where the RMS norm of q and k stands. */
typedef enum sl_qk_norm {
    SL_QK_NORM_NONE,
    SL_QK_NORM_HEAD, /* weight [head_dim], each head by itself, before rope */
    SL_QK_NORM_FULL, /* weight [heads * head_dim], one statistic over the whole projection, before rope */
    SL_QK_NORM_HEAD_AFTER, /* as SL_QK_NORM_HEAD, but after rope */
    SL_QK_NORM_PLAIN_AFTER, /* likewise, without a weight, and only in layers that rotate */
} sl_qk_norm;

typedef enum sl_rope_style {
    SL_ROPE_HALF,        /* pairs (j, j + dims/2) */
    SL_ROPE_INTERLEAVED, /* pairs (2j, 2j + 1) */
} sl_rope_style;

typedef enum sl_rope_scaling {
    SL_ROPE_PLAIN,
    SL_ROPE_LINEAR,
    SL_ROPE_PROPORTIONAL, /* only the first rope_turning of the head's pairs turn, the others stand still */
    SL_ROPE_DIVIDED,      /* each frequency is divided by a number of its own, rope_divisor (longrope) */
    SL_ROPE_LLAMA3,
    SL_ROPE_YARN
} sl_rope_scaling;

/* Router logits z to scores s, before the choice. */
typedef enum sl_router_score {
    SL_ROUTER_SOFTMAX, /* over all experts */
    SL_ROUTER_SIGMOID, /* of each logit by itself */
    SL_ROUTER_LOGIT,   /* the logits as they are */
    SL_ROUTER_SPARSEMIXER, /* two experts; each one's weight is its share among the logits that come near it (router.h) */
} sl_router_score;

typedef enum sl_router_norm {
    SL_ROUTER_KEEP, /* weights as the scores are */
    SL_ROUTER_SUM,  /* divided by the sum over the chosen, plus router_eps */
    SL_ROUTER_SUM_LEAST, /* divided by that sum, or by router_eps if it is larger */
    SL_ROUTER_SHARE, /* the softmax over the chosen scores */
    SL_ROUTER_SQUASH, /* the sigmoid of each chosen score */
} sl_router_norm;

/* What becomes of a feed-forward network's gate and up. */
typedef enum sl_activation {
    SL_ACTIVATION_SILU,    /* silu(gate) * up */
    SL_ACTIVATION_GELU,    /* gelu(gate) * up, by the tanh formula */
    SL_ACTIVATION_CLAMPED, /* g * sigmoid(alpha g) * (u + 1), g being the gate but at most a limit, u up but within ± that limit */
} sl_activation;

/* Of families in which only layers with a window rotate: which layers do in a model that has no window. */
typedef enum sl_windowless {
    SL_WINDOWLESS_KIND, /* those that would have the window */
    SL_WINDOWLESS_ALL,
    SL_WINDOWLESS_NONE, /* none, but for those of rope_in_prefix */
} sl_windowless;

typedef enum sl_shared_gate {
    SL_SHARED_NONE,    /* no shared expert */
    SL_SHARED_SIGMOID, /* sigmoid(g . h) times the shared expert's output */
    SL_SHARED_PLAIN,   /* the shared expert's output as it is */
} sl_shared_gate;

/* What model/ fills from the file. Sizes in values. The ranges are what model/hparams.c holds every file to: inside them no
 * product of sizes overflows an int64 and no formula divides by zero or leaves float. */
typedef struct sl_hparams {
    int vocab;        /* rows of the embedding, 1 … 2^20 */
    int context;      /* positions the model was made for, 1 … 2^31 - 1 */
    int width;        /* hidden size, 1 … 2^20 */
    int layers;       /* 1 … SL_MAX_LAYERS */
    int heads[SL_MAX_LAYERS], kv_heads[SL_MAX_LAYERS]; /* of layers with attention: 1 … 65536, heads a multiple of kv_heads */
    int head_dim[SL_MAX_LAYERS]; /* values of a head, 2 … 4096; need not be width / heads; times heads at most 2^20 */
    int ff;           /* width of the dense feed-forward layers, 1 … 2^20; 0: there are none */
    float norm_eps;   /* added to the mean of squares, 1e-12 … 0.1 */
    sl_norm norm;
    sl_wiring wiring;
    float embedding_scale, residual_scale, logit_scale; /* factors on a token's row, on what a part adds to the stream, on the
                                                         * logits: 1e-6 … 1e6; 0: none, which is 1 */
    sl_mixer mixer[SL_MAX_LAYERS];
    bool query_gated;     /* q's matrix has two rows for each value, head by head: its queries, then gates of attention's result */
    int delta_key_heads, delta_value_heads; /* of delta net layers, 1 … 65536; value heads a multiple of key heads */
    int delta_key_dim, delta_value_dim;     /* values of such a head, 1 … 4096; times the heads at most 2^20 */
    int delta_taps;       /* positions that its convolution sees, 2 … 16 */
    bool delta_tiled;     /* value head j goes with key head j modulo their number; otherwise neighbours go with one key head */
    float logit_cap;      /* logits z become cap * tanh(z / cap) at the end, 1e-6 … 1e6; 0: they stay */
    float attention_scale; /* factor on the scores, 1e-6 … 1e6; 0: one over the root of head_dim */
    int window[SL_MAX_LAYERS];   /* a row of the layer sees so many positions, its own and those before it, 1 … 2^31 - 1, in all
                                  * layers alike that have one; 0: all */
    bool chunked;     /* a window is a chunk: of the sequence's chunks of so many positions a row sees its own, up to itself */
    bool unrotated[SL_MAX_LAYERS]; /* layers whose q and k rope leaves as they are */
    float temperature_length, temperature_scale; /* in those layers q is multiplied by 1 + scale * ln(1 + floor((position + 1) / length)):
                                                  * 1 … 2^31, 1e-6 … 1e6; both 0: it is not */

    sl_qk_norm qk_norm;
    bool value_norm;  /* each head of v is normed by itself, without a weight */
    int keys_of[SL_MAX_LAYERS]; /* number, counted from 1, of the earlier layer whose keys and values this one attends to, as it has none
                                 * of its own; that one has the same heads and the same window. 0: it has its own */
    bool keyed_values[SL_MAX_LAYERS]; /* layers that have no v: what k's matrix gives, before norm and rope, is v as well */
    float qkv_clip;   /* clamp q, k, v to ±this after the norm, 1e-6 … 1e30; 0: off */

    sl_rope_style rope_style;
    int rope_dims;    /* rotated values of a head, the first ones; even, 2 … head_dim of every layer that rotates by it */
    float rope_theta; /* 2 … 1e12 */
    sl_rope_scaling rope_scaling;
    float rope_factor;          /* linear, proportional, llama3, yarn: 1e-3 … 1e6; 1 if plain */
    float rope_low, rope_high;  /* llama3: low_freq_factor, high_freq_factor; yarn: beta_slow, beta_fast. 1e-3 … 1e6, low < high; of llama3 also low == high */
    int rope_original;          /* divided, llama3, yarn: positions before scaling, 1 … 2^31 - 1 */
    int rope_turning;           /* proportional: 1 … rope_dims / 2 */
    float rope_divisor[SL_MAX_ROPE_PAIRS]; /* divided: [rope_dims / 2], 1e-6 … 1e6, where no sequence may be longer than rope_original */
    float rope_long_divisor[SL_MAX_ROPE_PAIRS], rope_long_attention; /* likewise, and the factor below, where one may be (forward/rope.c) */
    bool rope_long;             /* the file has them */
    float rope_attention;       /* factor on cosine and sine, 0.01 … 100; 1 if nothing is said */
    float window_rope_theta;    /* layers with a window rotate by this base, 2 … 1e12; 0: as the others do */
    float window_rope_factor;   /* with such a base: by which frequencies are divided, 1e-3 … 1e6; 1: unscaled */
    int window_rope_dims;       /* with such a base: how many values of their heads, as rope_dims */
    bool rope_truncate;         /* yarn: the pairs between which it blends are rounded to whole ones (low down, high up) */

    int experts;      /* 1 … SL_MAX_EXPERTS; 0: a dense model */
    int experts_used; /* top-k, 1 … experts */
    int expert_ff;    /* width of one expert, 1 … 2^20 */
    sl_router_score router_score;
    sl_router_norm router_norm;
    float router_eps;   /* what is added to that sum, 0 … 1e-3 */
    float router_scale; /* what every weight is multiplied by at the end, 1e-6 … 1e6 */
    bool weighs_input;  /* an expert's weight is on what it reads, not on what it gives (experts/ffn.h) */
    int router_groups, router_groups_used; /* experts are chosen in the best groups only (router.h); 1 and 1: in all. Groups
                                            * divide the experts, two or more a group, and those used hold experts_used */
    sl_activation activation;
    float activation_alpha, activation_limit; /* of clamped: 1e-6 … 1e6 */
    sl_shared_gate shared_gate;
    int shared_ff;    /* width of the shared expert, 1 … 2^20; 0: none */
    float routed_scale; /* factor on what experts and shared expert give together, 1e-6 … 1e6; 0: none, which is 1 */
    bool sparse[SL_MAX_LAYERS]; /* which layers route; the others use ff */
    bool ff_doubled[SL_MAX_LAYERS]; /* layers whose dense network is twice as wide as ff */
    int layer_input;   /* values of a token that every layer has for itself, 1 … 2^20 in all layers together; 0: none. g being a gate
                        * made of the stream x, P a projection and N a norm, a layer ends with x += N(P(gelu(g) * these)) */
    bool dense_beside; /* layers that route have a dense network of width ff, too. x being the stream and N a norm each, what they add
                        * to it is N(N(dense(N x)) + N(experts(N x))) */

    bool tied;        /* the embedding is the output matrix too */
} sl_hparams;

/* All layers have these heads. */
static inline void sl_hparams_heads(sl_hparams *hp, int heads, int kv_heads, int head_dim) {
    for (int i = 0; i < SL_MAX_LAYERS; i++) {
        hp->heads[i] = heads;
        hp->kv_heads[i] = kv_heads;
        hp->head_dim[i] = head_dim;
    }
}

/* The rotated values of a head of the layer. */
static inline int sl_rope_dims(const sl_hparams *hp, int layer) {
    return hp->window[layer] && hp->window_rope_theta != 0 ? hp->window_rope_dims : hp->rope_dims;
}

/* The width of the layer's dense network. */
static inline int sl_ff(const sl_hparams *hp, int layer) { return hp->ff_doubled[layer] ? 2 * hp->ff : hp->ff; }

/* Of a gated delta net: all heads' queries, or keys; all heads' values; the convolution's channels, queries, keys, then values. */
static inline int sl_delta_keys(const sl_hparams *hp) { return hp->delta_key_heads * hp->delta_key_dim; }
static inline int sl_delta_values(const sl_hparams *hp) { return hp->delta_value_heads * hp->delta_value_dim; }
static inline int sl_delta_channels(const sl_hparams *hp) { return 2 * sl_delta_keys(hp) + sl_delta_values(hp); }

/* One family. Strings are static. A knob that is not named in a row is 0, false or NULL, and that means "has none". */
typedef struct sl_family {
    /* Who it is. */
    const char *name;      /* "mixtral", as in metrics and inspect */
    const char *gguf_arch; /* general.architecture; NULL: another row reads this family's GGUF files */
    const char *gguf_arch_too; /* a fork's spelling of it, in whose files all else is the same */
    const char *gguf_as;   /* where that is NULL: the architecture under which such a model is written */
    const char *hf_type;   /* config.json model_type */
    bool routed;           /* has experts: tells apart families that share a gguf_arch */

    /* The block. */
    sl_norm norm;
    sl_wiring wiring;
    const char *hf_layer_norm_eps_key; /* the layer norm's epsilon; where rms_norm_eps is given, norms are RMS norms. NULL: no such
                                   * key, norms are as the row says, and rms_norm_eps is for them */
    bool multipliers;             /* embedding_multiplier, residual_multiplier, logits_scaling, attention_multiplier apply */
    const char *hf_embedding_root_key; /* if it is true, embeddings are multiplied by the root of the hidden size; NULL: no such key */
    bool hf_embedding_root;       /* they always are in the class */
    bool gguf_embedding_root;     /* they always are in GGUF files, which do not say it */
    const char *hf_logit_scale_key; /* a factor on the logits; NULL: no such key */
    float default_logit_scale;
    bool logit_cap;               /* final_logit_softcapping applies */
    float attention_scale;        /* as in sl_hparams; nothing that a file says changes it */
    bool stream_scaled;           /* at a layer's end the whole stream is multiplied by a number of that layer's */
    const char *hf_score_width_key; /* scores are divided by the root of this number; NULL: no such key */
    float default_score_width;
    int gguf_width_scored_layers; /* in GGUF files, which do not say it, models of so many layers divide scores by the root of width / heads */
    bool hf_norms_less_one;       /* safetensors hold the weights of the stream's norms, and of q's and k's, less 1; GGUF as they are */
    bool output_bias;             /* lm_head may have a bias, if lm_head_bias is true */

    /* Attention. */
    sl_qk_norm qk_norm;
    const char *hf_qk_norm_key;   /* key that says whether it is there; NULL: it always is */
    bool default_qk_norm;         /* that key's default */
    int gguf_unnormed_experts;    /* with SL_QK_NORM_PLAIN_AFTER: in GGUF files, which do not say it, models of so many experts have none */
    sl_rope_style rope_style;     /* as the Hugging Face class rotates */
    float default_rope_part;      /* partial_rotary_factor where it is absent: the part of a head that is rotated; 0: the class has
                                   * no such key, and all of it is */
    const char *hf_rope_dims_key; /* key that gives the rotated values of a head as a number, where that factor is absent */
    bool gguf_qk_permuted;        /* the GGUF converter reordered q's and k's rows, so that rope is interleaved there */
    bool query_gated;             /* as in sl_hparams */
    bool attention_gate;          /* attention's result is multiplied by the sigmoid of one more projection of the input */
    const char *hf_bias_key;      /* key that gives q, k and v biases; NULL: always_bias */
    bool always_bias;             /* q, k and v have biases without a key that says so; otherwise there are none without a key */
    bool bias_on_output;          /* that key gives a bias on o as well */
    bool default_bias;            /* the key's default */
    bool clip_qkv;                /* config.json's clip_qkv applies */
    bool value_norm;              /* as in sl_hparams */
    const char *hf_full_head_dim_key; /* size of a head in layers without a window; NULL: as in the others. With it per_layer_config,
                                   * where it is given, says head_dim and num_key_value_heads of single layers instead */
    int default_full_head_dim;    /* that key's default */
    const char *hf_full_kv_heads_key; /* KV heads of such layers, if hf_keyed_values_key is true; NULL: as in the others */
    const char *hf_shared_keys_key; /* so many layers at the end attend to the keys and values of the last one before them that has a window,
                                   * or none, as they have; NULL: no such key. In GGUF files attention.shared_kv_layers */
    const char *hf_ff_doubled_key; /* if it is true, those have ff_doubled; in GGUF files feed_forward_length says it of each layer */
    const char *hf_layer_input_key; /* as layer_input; NULL: no such key. In GGUF files embedding_length_per_layer_input */
    int default_layer_input;
    const char *hf_keyed_values_key; /* if it is true, layers without a window have keyed values (sl_hparams); in GGUF files, those
                                   * without a v. NULL: no such key */
    bool sinks;                   /* every head has a number that takes part in its softmax as one more score, without a value */
    const char *hf_window_switch; /* sliding_window counts only if this key is true; NULL: it counts by itself */
    int default_window;           /* sliding_window where the key is absent; 0: none */
    int default_window_layers;    /* max_window_layers where that key is absent: layers before it see everything; 0: no such key */
    /* every so many layers, counted from 1, one sees everything, where layer_types is absent; NULL: no such key */
    const char *hf_window_interval_key;
    int default_window_interval;  /* that key's default; in GGUF files too, where attention.sliding_window_pattern is absent */
    bool windows_alternate;       /* with default_window_layers: of the layers before it the 1st, 3rd, … have the window, no other */
    bool windows_unrotated;       /* those layers have the window that do not rotate, where layer_types is absent */
    bool last_sees_all;           /* the last layer has no window, whatever layer_types says */
    bool windows_rotated;         /* those that do */
    bool chunked;                 /* windows are chunks, as in sl_hparams: attention_chunk_size is read, not sliding_window, and layer_types
                                   * says "chunked_attention" */
    int gguf_window;              /* the window in GGUF files, which do not say it, but for a 0 where no layer has one, and then all
                                   * rotate; 0: they say it */
    bool window_in_all;           /* layer_types is not read: every layer has the window, if there is one */
    bool rope_in_windows;         /* only layers with a window rotate */
    sl_windowless windowless;     /* with rope_in_windows */
    bool rope_in_prefix;          /* with rope_in_windows: so do those that do not route */
    const char *hf_prefix_interval_key; /* of the layers at the beginning that do not route, every so many, counted from 1, one sees
                                   * everything, where layer_types is absent, and the others are counted after them; only with 1,
                                   * the default, rope_in_prefix holds. NULL: no such key */
    int default_unrotated_interval; /* every so many layers, counted from 1, one does not rotate, where no_rope_layers is absent; 0: no such keys */
    float default_temperature_length, default_temperature_scale; /* floor_scale and attn_scale where they are absent, and in GGUF files
                                   * attention.temperature_length and .temperature_scale, if attn_temperature_tuning is not false;
                                   * 0: no such keys */
    float default_window_rope_theta; /* window_rope_theta where it is absent (rope_local_base_freq, or rope_parameters by kind of layer,
                                   * rope.freq_base_swa); 0: no such keys */
    bool usual_yarn;              /* where config.json says nothing of scaling it is yarn, 32 times from 4096 positions, its bounds unrounded */
    float default_rope_turning_part; /* without rope_parameters rope is proportional, and this part of the pairs turns; with them, plain
                                   * rope turns whole heads, whatever partial_rotary_factor says. 0: it is plain, and that key applies */
    bool gguf_yarn_unrounded;     /* yarn's bounds are not rounded to whole pairs in GGUF files, which do not say it (rope_truncate) */
    bool rope_alpha;              /* rope type "dynamic" with a key alpha stretches the base once and for all */
    const char *hf_rope_attention_keys[2]; /* factors on cosine and sine of divided rope, up to rope_original and beyond, instead of
                                   * attention_factor; NULL: no such keys */

    /* Other mixers than attention. */
    bool delta_mixers;            /* layers that layer_types, or full_attention_interval, does not give attention are gated delta nets */
    bool gguf_rope_sections;      /* readers of GGUF files want rope.dimension_sections */
    bool gguf_delta_tiled;        /* as delta_tiled in sl_hparams, in GGUF files: the converter reordered value heads */

    /* Experts. */
    sl_router_score router_score;
    sl_router_norm router_norm;     /* in GGUF files, which do not say it, and in config.json where hf_router_norm_key is NULL */
    const char *hf_router_norm_key; /* config.json key that says whether the weights are divided by their sum; NULL: router_norm holds */
    bool default_router_sum;        /* that key's default */
    float router_eps;               /* as in sl_hparams */
    const char *hf_router_scale_key; /* a factor on the weights; NULL: there is none */
    float default_router_scale;     /* that key's default */
    bool router_groups;             /* n_group and topk_group apply */
    const char *hf_router_score_key; /* key that may say "softmax": the share of the chosen logits, or "sigmoid"; NULL: no such key */
    const char *hf_router_eps_key;  /* NULL: router_eps holds */
    const char *hf_shared_mean_key; /* if it says "average", so the class's default, what experts and the shared expert give is
                                     * averaged, not added; NULL: no such key */
    bool router_normed;             /* the router reads the stream through a norm of its own, whose weight is a vector (router.scale) over
                                     * the root of the hidden size */
    bool expert_scales;             /* the weights are multiplied by a number of their expert's at the end */
    bool dense_beside;              /* as in sl_hparams, where there are experts */
    bool weighs_input;              /* as in sl_hparams */
    bool router_biased;             /* the router's product has a bias, which is part of the logits */
    sl_activation activation;
    float default_activation_alpha, default_activation_limit; /* where swiglu_alpha and swiglu_limit are absent, and in GGUF files */
    bool expert_biases;             /* gate, up and down of every expert have a bias */
    sl_shared_gate shared_gate;
    const char *hf_experts_key;     /* how many experts there are */
    const char *hf_routed_key;      /* there are experts only if this key is true, in GGUF files if expert_count is there; NULL: always */
    const char *hf_experts_used_key; /* NULL: num_experts_per_tok */
    const char *hf_expert_ff_key;   /* width of an expert; "intermediate_size" where there are no dense layers */
    const char *hf_shared_ff_key;   /* width of the shared expert; NULL: there is no such key */
    const char *hf_shared_count_key; /* how many experts' width it has; NULL: there is no such key */
    bool shared_as_expert;          /* it is there always, and as wide as an expert */
    bool gguf_shared_ff_guessed;    /* peers write another width; the tensor tells */
    bool hf_dense_rule;             /* mlp_only_layers and decoder_sparse_step say which layers route */
    const char *hf_dense_first_key; /* so many layers at the beginning do not route; NULL: there is no such key */
    bool hf_layer_kinds;            /* mlp_layer_types, if it is given, says "dense" or "sparse" of each layer */
    bool hf_layer_range;            /* moe_layer_start_index, moe_layer_end_index and moe_layer_interval say which layers route */
    bool hf_layer_list;             /* moe_layers lists those that route; where it is absent every interleave_moe_layer_step-th does */
    const char *hf_dense_ff_key;    /* width of those layers; NULL: intermediate_size */

    /* Names of a block's tensors below model.layers.N. in safetensors ("mlp" + "." + "gate" + ".weight"). */
    const char *hf_moe;         /* holds router and experts; "": nothing does */
    const char *hf_router;
    const char *hf_router_bias; /* [experts], whole name below hf_moe: added to the scores for the choice alone; NULL: none */
    const char *hf_proj[3];     /* gate, up, down of one expert */
    const char *hf_dense[3];    /* gate, up, down of a layer that does not route, whole names in the layer; NULL: mlp.gate_proj and so on */
    const char *hf_shared;      /* holds the shared expert */
    const char *hf_shared_gate;
    const char *hf_moe_fused;   /* the same as hf_moe in checkpoints with experts.gate_up_proj [experts][2 ff][width] */
    const char *hf_experts_fused[2]; /* below hf_moe: one tensor for the experts' gates and ups, and one for their downs, where those are
                                      * other names than hf_moe_fused + ".experts.gate_up_proj" and "down_proj" */
    bool hf_experts_across;     /* those tensors are [experts][in][out] where they are of a float type */
    bool hf_experts_interleaved; /* gate's and up's rows alternate in them; otherwise gate's come first */
    const char *hf_shared_fused[2];  /* whole names in the layer: the shared expert's gate and up in one, and its down; NULL: by hf_shared */
    const char *hf_attention_names[4]; /* q's and k's norms, o, and q, k and v in one matrix (NULL: three of them), whole names in the
                                        * layer without ".weight"; NULL: self_attn.q_norm, self_attn.k_norm, self_attn.o_proj */
    const char *hf_norm_names[3];   /* before the feed-forward part, after the mixer, after the feed-forward part; NULL: post_attention_layernorm */
    const char *hf_embedding;       /* whole name; NULL: model.embed_tokens.weight */
    bool gguf_expert_ff;        /* GGUF files say an expert's width although hf_expert_ff_key is "intermediate_size" */
    const char *gguf_ffn_norm;  /* what GGUF calls the norm before the feed-forward part; NULL: ffn_norm */

    /* The Hugging Face class's defaults for keys that may be absent. */
    float default_norm_eps, default_rope_theta;
    int default_context;
    int default_vocab, default_heads; /* 0: these keys must be there */
    int default_kv_heads; /* 0: as many as heads */
    int default_head_dim; /* 0: width / heads */
    int default_dense_ff; /* 0: the key must be there */
    int default_experts, default_experts_used, default_expert_ff, default_shared_ff, default_shared_count, default_dense_first;
} sl_family;

/* The row for a GGUF architecture (routed: does the file have experts?) or a config.json model_type; NULL: unknown. */
const sl_family *sl_family_by_gguf(const char *arch, bool routed);
const sl_family *sl_family_by_hf(const char *model_type);
/* What GGUF's key expert_gating_func says for a score: 1 … 3. */
int sl_router_score_code(sl_router_score score);
/* Of a family that is known by that model_type or GGUF architecture but has no row: what its arithmetic needs that is not here
 * ("attention sinks"); NULL: nothing is known of it. */
const char *sl_family_missing(const char *name);
/* Row i, NULL past the last: for messages that list what is known. */
const sl_family *sl_family_at(int i);

#endif
