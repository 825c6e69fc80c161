/* What the names in tokenizer.ggml.pre stand for: the patterns that the tokenizer.json of the same model has, and what
 * else of its pipeline the name implies. Where a tokenizer.json does a step without a pattern (NFC, digits one by one), the
 * name carries it here. Patterns are spelled as in those files where they have them; llama.cpp, where the names come from,
 * spells some otherwise for its own matcher. */
#include "text/internal.h"

#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SIGNS " ?[^\\s\\p{L}\\p{N}]+"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+|" SIGNS "|\\s+(?!\\S)|\\s+"
#define LLAMA3 CONTRACTIONS "|" WORD "|\\p{N}{1,3}|" SIGNS "[\\r\\n]*|" SPACES
#define QWEN2 CONTRACTIONS "|" WORD "|\\p{N}|" SIGNS "[\\r\\n]*|" SPACES
#define QWEN35                                                                                                           \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES

/* Words whose capitals come first: HTMLParser is HTMLP and arser, iPhone i and Phone. */
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(upper, lower, after)                                                                                       \
    "[^\\r\\n\\p{L}\\p{N}]?" upper "*" lower "+" after "|[^\\r\\n\\p{L}\\p{N}]?" upper "+" lower "*" after
#define O200K CASED(UPPER, LOWER, CONTRACTIONS "?") "|\\p{N}{1,3}|" SIGNS "[\\r\\n/]*|" SPACES
#define TEKKEN CASED(UPPER, LOWER, "") "|\\p{N}|" SIGNS "[\\r\\n/]*|" SPACES
#define YOUTU CASED(UPPER, LOWER, CONTRACTIONS "?") "|\\p{N}|" SIGNS "[\\r\\n/]*|" SPACES
#define NOT_HAN_UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define NOT_HAN_LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}&&[^\\p{Han}]]"
#define KIMI                                                                                                             \
    "[\\p{Han}]+|" CASED(NOT_HAN_UPPER, NOT_HAN_LOWER, CONTRACTIONS "?") "|\\p{N}{1,3}|" SIGNS "[\\r\\n]*|" SPACES

#define CJK "[一-龥぀-ゟ゠-ヿ]+"
#define CJK_OLD "[一-龥ࠀ-一가-퟿]+" /* with the odd range that was published */
#define ASIAN "[一-鿿㐀-䶿\uF900-\uFAFF぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+"
#define YOUTU_ASIAN "[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+"
#define DEEPSEEK_WORD                                                                                                    \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
#define DEEPSEEK_V3 DEEPSEEK_WORD " ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES
#define SPARK DEEPSEEK_WORD " ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+"
/* Letters that have a case, as they were when this was published; among them some (U+1F7D, U+2126, U+212A, …) that any
 * program that normalises this text would change, so they are spelled by number. */
#define DEEPSEEK_LETTERS                                                                                                 \
    "\\s?[A-Za-z"                                                                                                        \
    "\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376"            \
    "\u0377\u037B-\u037D\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F"             \
    "\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77"           \
    "\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-\u1F57\u1F59\u1F5B\u1F5D"                   \
    "\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB"                  \
    "\u1FE0-\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128"              \
    "\u212A-\u212D\u212F-\u2134\u2139\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4"             \
    "\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF"            \
    "\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\U00010400-\U0001044F\U000104B0-\U000104D3"                     \
    "\U000104D8-\U000104FB\U00010C80-\U00010CB2\U00010CC0-\U00010CF2\U000118A0-\U000118DF\U0001E900-\U0001E943" \
    "]+"
#define DEEPSEEK_SIGNS "\\s?[!-/:-~！-／：-～‘-‟　-。]+"

#define BAILING                                                                                                          \
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|" \
    "\\s+"
#define EXAONE_MOE                                                                                                       \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}|" SIGNS "[\\r\\n/]?|\\s*[\\r\\n]|"   \
                 "\\s+(?!\\S)|\\s+"
#define SEED CONTRACTIONS "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES
#define JAIS2                                                                                                            \
    CONTRACTIONS "|" WORD "|\\p{N}{1,3}|" SIGNS "[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|" \
                 "\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s{1}"
#define BLOOM " ?[^(\\s|.,!?…。，、।۔،)]+"
#define LINES "[^\\n]+|[\\n]+"

static const sl__pre table[] = {
    {.names = "llama-bpe llama3 llama-v3 lfm2 falcon3 falcon-h1 pixtral midm-2.0 jina-v5-nano",
     .pattern = {LLAMA3}, .ignore_merges = true, .add_bos = true},
    {.names = "dbrx smaug-bpe glm4 chatglm-bpe", .pattern = {LLAMA3}},
    {.names = "qwen2", .pattern = {QWEN2}, .nfc = true},
    {.names = "qwen35", .pattern = {QWEN35}, .nfc = true},
    {.names = "deepseek-r1-qwen megrez kormo f2llmv2 openpangu hunyuan grok-2 solar-open stablelm2", .pattern = {QWEN2}},
    {.names = "olmo", .pattern = {GPT2}, .nfc = true},
    {.names = "gpt-2 phi-2 mpt jais trillion exaone4 gigachat modern-bert roberta-bpe granite-docling a.x-4.0 mellum jina-es "
              "jina-de jina-v2-es jina-v2-de",
     .pattern = {GPT2}},
    {.names = "refact starcoder smollm codeshell exaone minerva-7b command-r mellum2", .pattern = {SL__DIGIT, GPT2}},
    {.names = "gpt-4o llama4 kanana2 talkie minimax-m2", .pattern = {O200K}},
    {.names = "granite-embed-multi-97m", .pattern = {O200K}, .ignore_merges = true},
    {.names = "tekken", .pattern = {TEKKEN}, .ignore_merges = true, .add_bos = true},
    {.names = "youtu", .pattern = {YOUTU_ASIAN, YOUTU}, .ignore_merges = true},
    {.names = "kimi-k2", .pattern = {KIMI}},
    {.names = "deepseek-llm",
     .pattern = {"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, "\\s+$", CJK_OLD, SL__DIGIT}},
    {.names = "deepseek-coder", .pattern = {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_OLD, SL__DIGIT}},
    {.names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4", .pattern = {"\\p{N}{1,3}", CJK, DEEPSEEK_V3}},
    {.names = "spark2_5", .pattern = {"\\p{N}{1,3}", CJK, SPARK, SL__DIGIT}},
    {.names = "afmoe", .pattern = {"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))", ASIAN, DEEPSEEK_V3}},
    {.names = "tiny_aya cohere2moe cohere2_moe", .pattern = {"\\d{1,3}(?=(?:\\d{3})*\\b)", O200K}},
    {.names = "superbpe", .pattern = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
    {.names = "bailingmoe bailingmoe2 llada-moe", .pattern = {BAILING}},
    {.names = "exaone-moe", .pattern = {EXAONE_MOE}},
    {.names = "seed-coder", .pattern = {SEED}},
    {.names = "ufakzeka", .pattern = {WORD "|\\p{N}|" SIGNS "[\\r\\n]*|" SPACES}},
    {.names = "minicpm5",
     .pattern = {"\\p{N}{1,3}", CONTRACTIONS "|" WORD "|\\p{N}+|" SIGNS "[\\r\\n]*|" SPACES}, .ignore_merges = true},
    {.names = "jais-2", .pattern = {JAIS2}},
    {.names = "laguna", .pattern = {LINES, QWEN2}},
    {.names = "bloom poro-chat gpt3-finnish", .pattern = {BLOOM}},
    {.names = "viking", .pattern = {BLOOM, SL__DIGIT}},
    {.names = "falcon", .pattern = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, SL__DIGIT "+", "[0-9][0-9][0-9]"}},
    {.names = "chameleon",
     .pattern = {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", SL__DIGIT,
                 "[\\p{P}!-/:-@\\[-`{-~]", GPT2},
     .add_bos = true},
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

/* Does the row stand for what the tokenizer does? ret_space: but for a space that is put before the text. */
static bool stands_for(const sl__pre *pre, const sl_tokenizer *t, bool *ret_space) {
    size_t patterns = 0, most = sizeof pre->pattern / sizeof *pre->pattern;
    *ret_space = false;
    if (t->normalizers != (pre->nfc ? 1 : 0) || (pre->nfc && t->normalizer[0].kind != SL__NFC) || t->ignore_merges != pre->ignore_merges)
        return false;
    for (int i = 0; i < t->splitters; i++) {
        const sl__splitter *sp = &t->splitter[i];
        if (sp->kind == SL__PREFIX_SPACE && i == 0) {
            *ret_space = true;
            continue;
        }
        if (sp->kind != SL__SPLIT || !sp->keep_gaps || !sp->keep_matches) return false;
        if (patterns == most || !pre->pattern[patterns] || strcmp(pre->pattern[patterns], sp->pattern) != 0) return false;
        patterns++;
    }
    return patterns == most || !pre->pattern[patterns];
}

const char *sl__pre_name(const sl_tokenizer *t, sl_arena *arena, bool *ret_space) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (stands_for(&table[i], t, ret_space)) return sl_arena_copy(arena, SL_MEM_VOCABULARY, table[i].names, strcspn(table[i].names, " "));
    return NULL;
}
