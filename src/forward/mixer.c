/* mixer.c: the first part of a block, in which a row hears of the rows before it. How is the layer's kind of mixer's business,
 * each in a file of its own; what comes out of it is multiplied by the layer's output matrix, whatever it was. */
#include "forward/internal.h"

static const sl__mixer *const mixers[SL_MIXER_COUNT] = {[SL_MIXER_ATTENTION] = &sl__mixer_attention,
                                                         [SL_MIXER_DELTA] = &sl__mixer_delta};

static const sl__mixer *mixer_of(const sl_forward *f, int layer) { return mixers[f->m->hp.mixer[layer]]; }

void sl__mixer_input(sl_forward *f, int layer, int row) { mixer_of(f, layer)->input(f, layer, row); }

static sl__product output_product(sl_forward *f, int layer) {
    return (sl__product){&f->m->layer[layer].o, mixer_of(f, layer)->result(f, layer), f->y};
}

static void output_item(sl_forward *f, int layer, int self, int item) {
    sl__product p = output_product(f, layer);
    sl__product_item(f, self, &p, 1, f->step->rows, item);
}

void sl__mixer_result(sl_forward *f, int layer, int row) {
    const float *bias = f->m->layer[layer].o_bias;
    int width = f->m->hp.width;
    if (bias) f->k->add(f->y + (size_t)row * (size_t)width, bias, width);
}

void sl__mix(sl_forward *f, int layer, int self, sl__row_fn *tail, sl__once_fn *once) {
    sl__product output = output_product(f, layer);
    mixer_of(f, layer)->mix(f, layer, self);
    sl__tell_mixer_inputs(f, layer, self, output.x);
    sl__phase(f, layer, self, sl__product_items(f, &output, 1), output_item, tail, once);
}
