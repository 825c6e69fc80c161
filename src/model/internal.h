/* internal.h: what the files of model/ share.
 * While a model is opened, by the thread that opens it.
 *
 * From file to model, each step its own file:
 *   path       open.c, mistaken.c        a file or a folder; what it is, if no model
 *   map        files.c                   every file once, by base/map
 *   container  gguf.c (gguf_types.c, gguf_values.c), safetensors.c
 *                                        bytes → key-values and tensor table; knows nothing of models
 *   parts      gguf_split.c, folder.c    one file or many → one tensor table
 *   hparams    gguf_hparams.c, config.c  → sl_hparams; config_layers.c, config_rope.c, gguf_layers.c have their parts,
 *                                        hparams.c has the ranges, for both containers
 *   weights    bind.c, bind_….c          tensor names and shapes → sl_model
 *   vocabulary gguf_vocab.c, folder.c    → sl_vocab_source
 *   model      model.c                   what an open model tells, and its end */
#ifndef SL_MODEL_INTERNAL_H
#define SL_MODEL_INTERNAL_H

#include "base/json.h"
#include "base/map.h"
#include "model/model.h"

/* ---- index.c: names to numbers, in the order of adding. Texts are borrowed. ---- */

typedef struct sl__name {
    const char *text;
    uint32_t len;
} sl__name;

typedef struct sl__index {
    sl_arena *arena;
    sl__name *name; /* [count] */
    uint32_t *slot; /* [mask + 1] number + 1, 0: free; at most half full */
    uint32_t count, cap, mask;
} sl__index;

/* SL_INVALID: the name is there already (the caller words the error). */
sl_status sl__index_add(sl__index *x, const char *text, uint32_t len);
int64_t sl__index_find(const sl__index *x, const char *text, size_t len); /* -1: not there */

/* ---- tensors.c: the tensor table, over all files of a model ---- */

typedef struct sl__tensor {
    const char *name;     /* NUL-terminated */
    const char *type_name; /* as the file spells it, or "ggml type 999" */
    uint32_t type_id;     /* ggml's number, in a GGUF file */
    int type;             /* sl_type; -1: Sluice does not read it */
    int dims;
    uint64_t shape[4];    /* row-major, output features first; `dims` of them */
    uint64_t values;      /* product of shape */
    const uint8_t *data;
    uint64_t bytes;
    int file;
    bool used, ignored; /* bound; known, and not wanted */
} sl__tensor;

typedef struct sl__tensors {
    sl__index index; /* arena set by the owner */
    sl__tensor *entry; /* [index.count] */
    uint32_t cap;
    bool later_counts;  /* a name that another file had already is replaced, not an error */
    uint32_t replaced;  /* how often that was */
} sl__tensors;

sl_status sl__tensors_add(sl__tensors *t, const char *name, size_t len, const sl__tensor *value, sl_error *e);
sl__tensor *sl__tensors_find(const sl__tensors *t, const char *name); /* NULL: not there */
/* Do the dimensions equal these, dimensions of 1 aside? They move no byte: [n], [1][n] and [n][1] are the same vector. */
bool sl__tensor_is(const sl__tensor *t, uint64_t a, uint64_t b, uint64_t c);
/* "[2, 3]" into buf. */
const char *sl__tensor_shape(const sl__tensor *t, char *buf, size_t size);

/* ---- gguf.c: the container ---- */

typedef enum sl__gguf_type {
    SL__GGUF_U8, SL__GGUF_I8, SL__GGUF_U16, SL__GGUF_I16, SL__GGUF_U32, SL__GGUF_I32, SL__GGUF_F32, SL__GGUF_BOOL,
    SL__GGUF_STRING, SL__GGUF_ARRAY, SL__GGUF_U64, SL__GGUF_I64, SL__GGUF_F64, SL__GGUF_TYPES
} sl__gguf_type;

/* A value, unparsed. Strings inside the bytes were walked once: their lengths are safe to follow. */
typedef struct sl__gguf_value {
    uint8_t type;    /* sl__gguf_type */
    uint8_t element; /* of an array */
    uint64_t count;  /* elements of an array, else 1 */
    const uint8_t *data; /* the value, or the first element; a string begins with its length */
    const uint8_t *end;
} sl__gguf_value;

typedef struct sl__gguf {
    const char *origin; /* path for messages */
    sl__index keys;     /* arena set by the parser */
    sl__gguf_value *value; /* [keys.count] */
} sl__gguf;

/* Parses a whole file's bytes, which must outlive everything. Keys go to *ret, tensors are added to *tensors. */
sl_status sl__gguf_parse(const uint8_t *data, size_t size, const char *origin, int file, sl_arena *arena, sl__gguf *ret,
                         sl__tensors *tensors, sl_error *e);

/* ---- gguf_types.c ---- */

/* Sets the tensor's type, and says how many values and bytes a block has (0: not known here). false: out of memory. */
bool sl__gguf_tensor_type(sl__tensor *t, uint32_t id, sl_arena *arena, uint64_t *ret_values, uint64_t *ret_bytes);
/* A clause about a type that is not read: ", ik_llama.cpp's own"; "" if there is nothing to say. */
const char *sl__gguf_type_remark(uint32_t id);

/* ---- gguf_values.c: typed getters ---- */

const sl__gguf_value *sl__gguf_find(const sl__gguf *g, const char *key); /* NULL: absent */
/* Absent leaves *ret as it is and is SL_OK, unless `required`. Any integer type is an integer, f32 and f64 are floats. */
sl_status sl__gguf_int(const sl__gguf *g, const char *key, bool required, int64_t lo, int64_t hi, int64_t *ret,
                       sl_error *e);
sl_status sl__gguf_float(const sl__gguf *g, const char *key, bool required, double lo, double hi, double *ret,
                         sl_error *e);
sl_status sl__gguf_bool(const sl__gguf *g, const char *key, bool *ret, sl_error *e);
/* Copied into the arena and NUL-terminated; a NUL inside is an error. */
sl_status sl__gguf_string(const sl__gguf *g, const char *key, bool required, sl_arena *arena, sl_mem tag,
                          const char **ret, sl_error *e);
/* An integer, or an array of them that are all equal (a key that may differ by layer). */
sl_status sl__gguf_uniform(const sl__gguf *g, const char *key, bool required, int64_t lo, int64_t hi, int64_t *ret,
                           sl_error *e);
/* One integer from 1 on for all layers, or an array with one from 0 on for each: ret [layers]. */
sl_status sl__gguf_by_layer(const sl__gguf *g, const char *key, bool required, int most, int layers, int *ret, sl_error *e);
/* Element i of an array of integers or floats; i < count. */
int64_t sl__gguf_int_at(const sl__gguf_value *v, uint64_t i);
double sl__gguf_number_at(const sl__gguf_value *v, uint64_t i); /* of a value of a number type, alone (i is 0) or in an array */
float sl__gguf_float_at(const sl__gguf_value *v, uint64_t i);
/* A string at *p, which moves on; inside an array that the parser has walked. */
sl__name sl__gguf_next_string(const uint8_t **p);

/* ---- safetensors.c: the container ---- */

/* Parses a whole file's bytes; tensors are added to *tensors. */
sl_status sl__safetensors_parse(const uint8_t *data, size_t size, const char *origin, int file, sl__tensors *tensors,
                                sl_error *e);

/* ---- The model being opened ---- */

#define SL__MAX_FILES 1024

/* What a file declares about the presence of tensors: 1 yes, 0 no, -1 the tensors decide. */
typedef struct sl__declared {
    int qkv_bias, o_bias, output_bias, tied;
} sl__declared;

typedef struct sl__open {
    sl_model model; /* first: sl_model_close() casts back */
    sl_arena *arena;
    sl_map *map; /* [maps] every file, weights or not */
    int maps, map_cap;
    sl__tensors tensors;
    sl__declared declared;
    sl_vocab_source vocab;
    sl__gguf gguf; /* no keys: a folder */
    sl_notes notes;
    sl_layer *layer; /* model.layer, writable */
} sl__open;

/* ---- files.c ---- */

/* Maps one more file; *ret is its number. */
sl_status sl__open_map(sl__open *o, const char *path, int *ret, sl_error *e);
void sl__close_maps(sl__open *o);

/* ---- mistaken.c: what was given instead of a model ---- */

/* A clause about a file that is not what it should be, by its first bytes ("it is a web page: …"); NULL: it cannot be told. */
const char *sl__mistaken_file(const uint8_t *data, size_t size);
/* Fails with SL_NOT_FOUND: the folder has no config.json, or (`config`) none of the weights' files, and what to give instead. */
sl_status sl__mistaken_folder(const char *path, bool config, sl_error *e);
/* Is it a link to a file that is not there? */
bool sl__dangling(const char *path);

/* ---- The steps ---- */

/* gguf_split.c: opens the file, and the other parts if it is the first of several. */
sl_status sl__gguf_open(sl__open *o, const char *path, sl__gguf *ret, sl_error *e);
/* gguf_hparams.c: also chooses the family. Looks at tensors for what keys do not tell (which layers route). */
sl_status sl__gguf_hparams(const sl__gguf *g, sl__open *o, sl_error *e);
/* gguf_layers.c; after the layers that route are known. */
sl_status sl__gguf_layers(const sl__gguf *g, const char *arch, const sl_family *f, sl_hparams *hp, sl_notes *notes, sl_error *e);
/* gguf_vocab.c */
sl_status sl__gguf_vocab(const sl__gguf *g, sl_arena *arena, sl_vocab_source *ret, sl_notes *notes, sl_error *e);
/* folder.c: opens every safetensors file and maps the text files. */
sl_status sl__folder_open(sl__open *o, const char *path, sl_error *e);
/* config.c: config.json's text to family, hyperparameters and what is declared. */
sl_status sl__config_parse(const char *text, size_t len, const char *origin, const sl_family **ret_family,
                           sl_hparams *ret_hp, sl__declared *ret_declared, sl_notes *notes, sl_error *e);
/* config.c, for the parts that have a file of their own: numbers of config.json into what the hyperparameters have. Absent: *ret
 * stays. */
sl_status sl__config_int(const sl_json *obj, const char *key, int lo, int *ret, sl_error *e);
sl_status sl__config_float(const sl_json *obj, const char *key, double lo, double hi, float *ret, sl_error *e);
/* config_layers.c: which layers route; then which have a window, and which rotate. */
sl_status sl__config_sparse(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e);
sl_status sl__config_layers(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_error *e);
/* config_rope.c; after context and head_dim are known. */
sl_status sl__config_rope(const sl_json *top, const sl_family *f, sl_hparams *hp, sl_notes *notes, sl_error *e);
/* hparams.c. The ranges of sl_hparams' floats, as two arguments: least, most. Both containers' readers use them, so that an
 * error names the key; sl__hparams_check looks once more at what came together. */
#define SL__NORM_EPS 1e-12, 0.1
#define SL__CLIP 0, 1e30 /* 0: off */
#define SL__ROPE_THETA 2, 1e12
#define SL__ROPE_FACTOR 1e-3, 1e6
#define SL__MOST_TURNS 1e6
#define SL__TURNS 1e-3, SL__MOST_TURNS
#define SL__ROPE_ATTENTION 0.01, 100
#define SL__ROUTER_SCALE 1e-6, 1e6
#define SL__SCALE 1e-6, 1e6
#define SL__TEMPERATURE 1, 2147483648.0
/* Is a factor on attention scores what every family here has, one over the root of head_dim? 0: nothing was said. */
bool sl__usual_scale(const sl_hparams *hp, float scale);
/* Windows, and which layers rotate where that follows from them; after the layers that route are known. has [layers]; window 0: the
 * model has none. rotating_prefix: with rope_in_windows, layers that do not route rotate too. */
void sl__hparams_windows(const sl_family *f, const bool *has, int window, bool rotating_prefix, sl_hparams *hp);
/* So many layers at the end attend to others' keys; after windows and keyed values are known. Where there is no other of the kind,
 * keys_of stays 0. */
void sl__hparams_share_keys(sl_hparams *hp, int shared);
void sl__router_by_share(sl_hparams *hp); /* the best logits are chosen, and weighed by their softmax */
void sl__shared_mean(sl_hparams *hp);     /* experts and shared expert are averaged; after shared_ff is known */
void sl__hparams_start(const sl_family *f, sl_hparams *hp);
sl_status sl__hparams_check(const sl_hparams *hp, sl_error *e);
sl_status sl__family_unknown(const char *what, const char *name, bool gguf, sl_error *e);
/* bind.c */
sl_status sl__bind(sl__open *o, bool gguf, sl_error *e);

#endif
