/* Conversions; see element.h. */
#include "store/element.h"

#include "store/describe.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct layout {
    size_t sign, exponent, exponent_size, mantissa, mantissa_size;
} layout;

/* A float of two bytes with these fields. */
static bool is_small(hid_t type, layout wanted, size_t bias)
{
    layout is = {0, 0, 0, 0, 0};
    return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 &&
           H5Tget_fields(type, &is.sign, &is.exponent, &is.exponent_size, &is.mantissa, &is.mantissa_size) >=
               0 &&
           is.sign == wanted.sign && is.exponent == wanted.exponent &&
           is.exponent_size == wanted.exponent_size && is.mantissa == wanted.mantissa &&
           is.mantissa_size == wanted.mantissa_size && H5Tget_ebias(type) == bias;
}

static bool is_half(hid_t type)
{
    return is_small(type, (layout){15, 10, 5, 0, 10}, 15);
}

static bool is_brain(hid_t type)
{
    return is_small(type, (layout){15, 7, 8, 0, 7}, 127);
}

static bool is_whole_integer(hid_t type)
{
    size_t size = H5Tget_size(type);
    return H5Tget_class(type) == H5T_INTEGER && (size == 1 || size == 2 || size == 4 || size == 8) &&
           H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0;
}

static bool is_usual_float(hid_t type)
{
    return is_half(type) || is_brain(type) || H5Tequal(type, H5T_IEEE_F32LE) > 0 ||
           H5Tequal(type, H5T_IEEE_F32BE) > 0 || H5Tequal(type, H5T_IEEE_F64LE) > 0 ||
           H5Tequal(type, H5T_IEEE_F64BE) > 0;
}

static bool is_swapped(hid_t type)
{
    return H5Tget_size(type) > 1 && H5Tget_order(type) != H5Tget_order(H5T_NATIVE_INT);
}

static bool recognize_number(hid_t type, trm_element *element)
{
    const H5T_class_t class = H5Tget_class(type);
    const bool usual = is_usual_float(type) || is_whole_integer(type);
    element->class = class == H5T_FLOAT ? (is_brain(type) ? TRM_ELEMENT_BFLOAT : TRM_ELEMENT_FLOAT)
                     : H5Tget_sign(type) == H5T_SGN_2 ? TRM_ELEMENT_SIGNED
                                                      : TRM_ELEMENT_UNSIGNED;
    element->stored = (int)H5Tget_size(type);
    element->foreign = !usual;
    element->size = usual ? element->stored : 8;
    element->swapped = usual && is_swapped(type);
    return usual || H5Tget_size(type) <= (class == H5T_FLOAT ? 16 : 8);
}

static bool recognize_enum(hid_t type, trm_element *element)
{
    hid_t base = H5Tget_super(type);
    const bool known = base >= 0 && is_whole_integer(base) && recognize_number(base, element);
    element->named = true;
    trm_h5_close(base);
    return known;
}

static bool recognize_text(hid_t type, trm_element *element)
{
    const bool variable = H5Tis_variable_str(type) > 0;
    const size_t size = variable ? sizeof(char *) : H5Tget_size(type);
    if (size < 1 || size > INT_MAX)
        return false;
    element->class = variable ? TRM_ELEMENT_VARIABLE : TRM_ELEMENT_TEXT;
    element->size = element->stored = (int)size;
    element->ending = (int)H5Tget_strpad(type);
    return true;
}

/* numpy has no type of its own for ml_dtypes.bfloat16, so h5py writes its bytes as they are. Tags say that it
 * is something else (a date, for one). */
static bool recognize_opaque(hid_t type, trm_element *element)
{
    char *tag = H5Tget_tag(type);
    const bool known =
        H5Tget_size(type) == 2 && (tag == NULL || tag[0] == '\0' || strstr(tag, "bfloat16") != NULL);
    H5free_memory(tag);
    element->class = TRM_ELEMENT_BFLOAT;
    element->size = element->stored = 2;
    element->swapped = H5Tget_order(H5T_NATIVE_INT) == H5T_ORDER_BE;
    element->opaque = true;
    return known;
}

bool trm_element_recognize(hid_t type, trm_element *element, char name[TRM_ELEMENT_NAME])
{
    char text[TRM_TYPE_TEXT];
    bool known = false;
    memset(element, 0, sizeof *element); /* it travels as bytes, and is compared */
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_FLOAT:
        known = recognize_number(type, element);
        break;
    case H5T_ENUM:
        known = recognize_enum(type, element);
        break;
    case H5T_STRING:
        known = recognize_text(type, element);
        break;
    case H5T_OPAQUE:
        known = recognize_opaque(type, element);
        break;
    default:
        break;
    }
    trm_type_text(type, text);
    if (known && element->opaque)
        snprintf(text, sizeof text, "bfloat16");
    if (element->named)
        text[strcspn(text, "(")] = '\0'; /* the first members say little */
    for (size_t end = strlen(text); end > 0 && text[end - 1] == ' '; end--)
        text[end - 1] = '\0';
    snprintf(name, TRM_ELEMENT_NAME, "%.*s", TRM_ELEMENT_NAME - 1, text);
    return known;
}

static bool is_text(const trm_element *element)
{
    return element->class == TRM_ELEMENT_TEXT || element->class == TRM_ELEMENT_VARIABLE;
}

bool trm_element_serves(const trm_element *element, trm_want want)
{
    if (want == TRM_WANT_LABELS)
        return !element->opaque;
    if (want == TRM_WANT_INTEGERS || want == TRM_WANT_IDS)
        return !element->named &&
               (element->class == TRM_ELEMENT_SIGNED || element->class == TRM_ELEMENT_UNSIGNED ||
                (want == TRM_WANT_IDS && is_text(element)));
    return !element->named && !is_text(element);
}

bool trm_element_names(const trm_element *element)
{
    return element->named || is_text(element);
}

bool trm_element_equal(const trm_element *a, const trm_element *b)
{
    return a->class == b->class && a->size == b->size && a->stored == b->stored && a->ending == b->ending &&
           a->swapped == b->swapped && a->foreign == b->foreign && a->named == b->named &&
           a->opaque == b->opaque;
}

int trm_element_room(const trm_element *element)
{
    return element->size > element->stored ? element->size : element->stored;
}

bool trm_element_adopt(const trm_element *element, hid_t type, void *data, int64_t count)
{
    const hid_t into = element->class == TRM_ELEMENT_FLOAT    ? H5T_NATIVE_DOUBLE
                       : element->class == TRM_ELEMENT_SIGNED ? H5T_NATIVE_INT64
                                                              : H5T_NATIVE_UINT64;
    return H5Tconvert(type, into, (size_t)count, data, NULL, H5P_DEFAULT) >= 0;
}

void trm_element_order(const trm_element *element, void *data, int64_t count)
{
    if (!element->swapped)
        return;
    if (element->size == 2) {
        uint16_t *value = data;
        for (int64_t i = 0; i < count; i++)
            value[i] = __builtin_bswap16(value[i]);
    } else if (element->size == 4) {
        uint32_t *value = data;
        for (int64_t i = 0; i < count; i++)
            value[i] = __builtin_bswap32(value[i]);
    } else {
        uint64_t *value = data;
        for (int64_t i = 0; i < count; i++)
            value[i] = __builtin_bswap64(value[i]);
    }
}

/* IEEE binary16: 1 sign bit, 5 of exponent (bias 15), 10 of mantissa. Every value is exact in float32. */
static float from_half(uint16_t bits)
{
    int exponent = bits >> 10 & 31;
    int mantissa = bits & 1023;
    float value = exponent == 31  ? (mantissa != 0 ? NAN : INFINITY)
                  : exponent == 0 ? ldexpf((float)mantissa, -24)
                                  : ldexpf((float)(1024 + mantissa), exponent - 25);
    return bits & 0x8000 ? -value : value;
}

static float from_brain(uint16_t bits)
{
    const uint32_t whole = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &whole, sizeof value);
    return value;
}

#define CONVERT(type, expression)                                                                            \
    do {                                                                                                     \
        const type *from = data;                                                                             \
        for (int64_t i = 0; i < count; i++)                                                                  \
            out[i] = expression(from[i]);                                                                    \
    } while (0)

enum { CODE_STEP = 16 };
static int code(const trm_element *element)
{
    return (int)element->class * CODE_STEP + element->size;
}
#define FLOAT_OF(size) (TRM_ELEMENT_FLOAT * CODE_STEP + (size))
#define BFLOAT_OF(size) (TRM_ELEMENT_BFLOAT * CODE_STEP + (size))
#define SIGNED_OF(size) (TRM_ELEMENT_SIGNED * CODE_STEP + (size))
#define UNSIGNED_OF(size) (TRM_ELEMENT_UNSIGNED * CODE_STEP + (size))

void trm_element_to_float(const trm_element *element, const void *data, int64_t count, float *out)
{
    switch (code(element)) {
    case FLOAT_OF(2):
        CONVERT(uint16_t, from_half);
        break;
    case BFLOAT_OF(2):
        CONVERT(uint16_t, from_brain);
        break;
    case FLOAT_OF(4):
        memcpy(out, data, (size_t)count * sizeof *out);
        break;
    case FLOAT_OF(8):
        CONVERT(double, (float));
        break;
    case SIGNED_OF(1):
        CONVERT(int8_t, (float));
        break;
    case SIGNED_OF(2):
        CONVERT(int16_t, (float));
        break;
    case SIGNED_OF(4):
        CONVERT(int32_t, (float));
        break;
    case SIGNED_OF(8):
        CONVERT(int64_t, (float));
        break;
    case UNSIGNED_OF(1):
        CONVERT(uint8_t, (float));
        break;
    case UNSIGNED_OF(2):
        CONVERT(uint16_t, (float));
        break;
    case UNSIGNED_OF(4):
        CONVERT(uint32_t, (float));
        break;
    default:
        CONVERT(uint64_t, (float));
        break;
    }
}

double trm_element_value(const trm_element *element, const void *data, int64_t index)
{
    if (element->class == TRM_ELEMENT_FLOAT && element->size == 8)
        return ((const double *)data)[index];
    float value = 0.0F;
    trm_element_to_float(element, (const char *)data + index * element->size, 1, &value);
    return (double)value;
}

int64_t trm_element_to_int64(const trm_element *element, const void *data, int64_t count, int64_t *out)
{
    switch (code(element)) {
    case SIGNED_OF(1):
        CONVERT(int8_t, (int64_t));
        break;
    case SIGNED_OF(2):
        CONVERT(int16_t, (int64_t));
        break;
    case SIGNED_OF(4):
        CONVERT(int32_t, (int64_t));
        break;
    case SIGNED_OF(8):
        memcpy(out, data, (size_t)count * sizeof *out);
        break;
    case UNSIGNED_OF(1):
        CONVERT(uint8_t, (int64_t));
        break;
    case UNSIGNED_OF(2):
        CONVERT(uint16_t, (int64_t));
        break;
    case UNSIGNED_OF(4):
        CONVERT(uint32_t, (int64_t));
        break;
    default:
        memcpy(out, data, (size_t)count * sizeof *out);
        for (int64_t i = 0; i < count; i++)
            if (out[i] < 0)
                return i;
    }
    return -1;
}

const char *trm_element_text(const trm_element *element, const void *data, int64_t index, int64_t *length)
{
    if (element->class == TRM_ELEMENT_VARIABLE) {
        const char *text = ((char *const *)data)[index];
        text = text == NULL ? "" : text; /* never written */
        *length = (int64_t)strlen(text);
        return text;
    }
    const char *text = (const char *)data + index * element->size;
    const char *end = element->ending == H5T_STR_NULLTERM ? memchr(text, '\0', (size_t)element->size) : NULL;
    const char filler = element->ending == H5T_STR_SPACEPAD ? ' ' : '\0';
    *length = end != NULL ? end - text : element->size;
    while (*length > 0 && end == NULL && text[*length - 1] == filler)
        --*length;
    return text;
}
