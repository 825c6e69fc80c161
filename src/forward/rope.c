/* Rotary position embedding: frequencies at start, angles once a row and step.
 *
 * The reference computes in float: f_j = 1 / theta^(2j / dims), each step rounded; the angle is the float product of the
 * position and f_j. Scaling kinds follow reference implementations of config.json's rope_scaling; a GGUF file's rope_freqs
 * are divisors of f_j and stand for whatever kind made them.
 *
 * Of divided rope there are two lists of divisors. The reference takes the long one as soon as a sequence is longer than the
 * original context, and for all its positions, so that keys computed before would have to be computed anew, and a prompt's bits
 * would depend on how it was cut. Here the longest sequence that is served decides, for all sequences and once, as in llama.cpp. */
#include "base/fmath.h"
#include "forward/internal.h"

static const double pi = 3.14159265358979323846;

static float scale_llama3(const sl_hparams *hp, float f) {
    float original = (float)hp->rope_original, wavelength = (float)(2 * pi) / f;
    if (wavelength < original / hp->rope_high) return f;
    if (wavelength >= original / hp->rope_low) return f / hp->rope_factor; /* also if both bounds are one: nothing is in between */
    float smooth = (original / wavelength - hp->rope_low) / (hp->rope_high - hp->rope_low);
    return (1 - smooth) * f / hp->rope_factor + smooth * f;
}

/* The pair, as a real number, that turns `turns` times over the original context. */
static double yarn_pair(const sl_hparams *hp, double turns) {
    return hp->rope_dims * sl_logd(hp->rope_original / (turns * 2 * pi)) / (2 * sl_logd((double)hp->rope_theta));
}

static void scale_yarn(const sl_hparams *hp, float *frequency) {
    double low = yarn_pair(hp, (double)hp->rope_high), high = yarn_pair(hp, (double)hp->rope_low);
    if (hp->rope_truncate) {
        low = __builtin_floor(low);
        high = __builtin_ceil(high);
    }
    if (low < 0) low = 0;
    if (high > hp->rope_dims - 1) high = hp->rope_dims - 1;
    if (low == high) high += 0.001;
    for (int j = 0; j < hp->rope_dims / 2; j++) {
        float ramp = ((float)j - (float)low) / (float)(high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        float keep = 1 - ramp;
        frequency[j] = frequency[j] / hp->rope_factor * (1 - keep) + frequency[j] * keep;
    }
}

bool sl__rope_is_long(const sl_hparams *hp, int ctx) {
    return hp->rope_scaling == SL_ROPE_DIVIDED && hp->rope_long && ctx > hp->rope_original;
}

void sl__rope_frequencies(const sl_hparams *hp, const float *divisors, int ctx, float *frequency) {
    int half = hp->rope_dims / 2;
    const float *divided = sl__rope_is_long(hp, ctx) ? hp->rope_long_divisor : hp->rope_divisor;
    for (int j = 0; j < half; j++) {
        float f = 1 / sl_powf(hp->rope_theta, (float)(2 * j) / (float)hp->rope_dims);
        if (divisors) f /= divisors[j];
        else if (hp->rope_scaling == SL_ROPE_LINEAR) f /= hp->rope_factor;
        else if (hp->rope_scaling == SL_ROPE_LLAMA3) f = scale_llama3(hp, f);
        else if (hp->rope_scaling == SL_ROPE_PROPORTIONAL) f = j < hp->rope_turning ? f / hp->rope_factor : 0;
        else if (hp->rope_scaling == SL_ROPE_DIVIDED) f = 1 / (divided[j] * sl_powf(hp->rope_theta, (float)(2 * j) / (float)hp->rope_dims));
        frequency[j] = f;
    }
    if (!divisors && hp->rope_scaling == SL_ROPE_YARN) scale_yarn(hp, frequency);
}

void sl__rope_window_frequencies(const sl_hparams *hp, float *frequency) {
    int dims = hp->window_rope_dims;
    for (int j = 0; j < dims / 2; j++) frequency[j] = 1 / sl_powf(hp->window_rope_theta, (float)(2 * j) / (float)dims) / hp->window_rope_factor;
}

void sl__rope_angles(const float *frequency, int count, float factor, int position, float *cosines, float *sines) {
    for (int j = 0; j < count; j++) {
        float s, c;
        sl_sincosf((float)position * frequency[j], &s, &c);
        cosines[j] = c * factor;
        sines[j] = s * factor;
    }
}
