/* What the names in tokenizer.ggml.pre stand for: the patterns that the tokenizer.json of the same model has, and what
 * else of its pipeline the name implies. A name whose last step is one that tokenizer.json does after the patterns (NFC,
 * digits one by one) carries it here. */
#include "text/internal.h"

#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define TAIL " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|" TAIL
#define QWEN2 CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|" TAIL
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K                                                                                                            \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" CONTRACTIONS "?|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" CONTRACTIONS  \
    "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

static const sl__pre table[] = {
    {.names = "llama-bpe llama3 llama-v3 lfm2 falcon3 falcon-h1 pixtral midm-2.0",
     .pattern = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.names = "dbrx smaug-bpe glm4 chatglm-bpe", .pattern = {LLAMA3}},
    {.names = "qwen2", .pattern = {QWEN2}, .nfc = true},
    {.names = "deepseek-r1-qwen megrez hunyuan grok-2 solar-open stablelm2", .pattern = {QWEN2}},
    {.names = "olmo", .pattern = {GPT2}, .nfc = true},
    {.names = "gpt-2 phi-2 mpt jais trillion exaone4 gigachat roberta-bpe granite-docling", .pattern = {GPT2}},
    {.names = "refact starcoder smollm codeshell exaone minerva-7b command-r", .pattern = {"\\p{N}", GPT2}},
    {.names = "gpt-4o llama4 kanana2", .pattern = {O200K}},
    /* The name that old converters wrote when they knew no better; what llama.cpp does with it. */
    {.names = "default", .pattern = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

const sl__pre *sl__pre_find(const char *name) {
    size_t len = strlen(name);
    if (!len) return sl__pre_find("default");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (const char *p = table[i].names; *p;) {
            size_t n = strcspn(p, " ");
            if (n == len && memcmp(p, name, n) == 0) return &table[i];
            p += n;
            p += strspn(p, " ");
        }
    return NULL;
}

void sl__pre_names(sl_buffer *out) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (i) sl_buffer_puts(out, " ");
        sl_buffer_puts(out, table[i].names);
    }
}
