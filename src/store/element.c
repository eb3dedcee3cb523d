/* Conversions; see element.h. */
#include "store/element.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_half(hid_t type)
{
    size_t sign = 0, exponent = 0, exponent_size = 0, mantissa = 0, mantissa_size = 0;
    return H5Tget_class(type) == H5T_FLOAT && H5Tget_size(type) == 2 &&
           H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size) >= 0 &&
           sign == 15 && exponent == 10 && exponent_size == 5 && mantissa == 0 && mantissa_size == 10 &&
           H5Tget_ebias(type) == 15;
}

static bool is_whole_integer(hid_t type)
{
    size_t size = H5Tget_size(type);
    return H5Tget_class(type) == H5T_INTEGER && (size == 1 || size == 2 || size == 4 || size == 8) &&
           H5Tget_precision(type) == 8 * size && H5Tget_offset(type) == 0;
}

bool trm_element_recognize(hid_t type, trm_element *element, char name[TRM_ELEMENT_NAME])
{
    static const char *const words[] = {"float", "int", "uint"};
    bool real = is_half(type) || H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F32BE) > 0 ||
                H5Tequal(type, H5T_IEEE_F64LE) > 0 || H5Tequal(type, H5T_IEEE_F64BE) > 0;
    if (!real && !is_whole_integer(type))
        return false;
    H5T_order_t order = H5Tget_order(type);
    element->class = real                             ? TRM_ELEMENT_FLOAT
                     : H5Tget_sign(type) == H5T_SGN_2 ? TRM_ELEMENT_SIGNED
                                                      : TRM_ELEMENT_UNSIGNED;
    element->size = (int)H5Tget_size(type);
    element->swapped = element->size > 1 && order != H5Tget_order(H5T_NATIVE_INT);
    snprintf(name, TRM_ELEMENT_NAME, "%s%d%s", words[element->class], 8 * element->size,
             element->size > 1 && order == H5T_ORDER_BE ? "-be" : "");
    return true;
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
#define SIGNED_OF(size) (TRM_ELEMENT_SIGNED * CODE_STEP + (size))
#define UNSIGNED_OF(size) (TRM_ELEMENT_UNSIGNED * CODE_STEP + (size))

void trm_element_to_float(const trm_element *element, const void *data, int64_t count, float *out)
{
    switch (code(element)) {
    case FLOAT_OF(2):
        CONVERT(uint16_t, from_half);
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
    default: {
        const uint64_t *from = data;
        for (int64_t i = 0; i < count; i++) {
            if (from[i] > INT64_MAX)
                return i;
            out[i] = (int64_t)from[i];
        }
    }
    }
    return -1;
}
