/* list.h: every family, in the order in which messages and inspect list them.
 * Constant; any thread. */
#define SL_FAMILY_LIST(X)                                                                                              \
    X(llama)                                                                                                           \
    X(mistral)                                                                                                         \
    X(qwen3)                                                                                                           \
    X(mixtral)                                                                                                         \
    X(olmoe)                                                                                                           \
    X(qwen2_moe)                                                                                                       \
    X(qwen3_moe)                                                                                                       \
    X(glm4_moe)                                                                                                        \
    X(dots1)                                                                                                           \
    X(minimax_m2)                                                                                                      \
    X(solar_open)                                                                                                      \
    X(smollm3)                                                                                                         \
    X(ministral)                                                                                                       \
    X(qwen2)                                                                                                           \
    X(granitemoe)                                                                                                      \
    X(granitemoeshared)                                                                                                \
    X(ernie4_5_moe)                                                                                                    \
    X(hunyuan_v1_moe)                                                                                                  \
    X(phimoe)                                                                                                          \
    X(exaone_moe)                                                                                                      \
    X(afmoe)                                                                                                           \
    X(cohere2_moe)                                                                                                     \
    X(bailing_moe_v2)                                                                                                  \
    X(gpt_oss)                                                                                                         \
    X(gemma3)                                                                                                          \
    X(gemma4)                                                                                                          \
    X(gemma4_unified)                                                                                                  \
    X(qwen3_next)                                                                                                      \
    X(qwen3_5_moe)                                                                                                     \
    X(qwen3_5)                                                                                                         \
    X(llama4)
