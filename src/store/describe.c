/* Types and shapes in words; see describe.h. */
#include "store/describe.h"

#include "base/visible.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MEMBERS_SHOWN = 4, MEMBER_TEXT = 32 };

static const char *integer_text(hid_t type, char text[TRM_TYPE_TEXT])
{
    const int bits = 8 * (int)H5Tget_size(type), used = (int)H5Tget_precision(type);
    int length = snprintf(text, TRM_TYPE_TEXT, "%sint%d%s", H5Tget_sign(type) == H5T_SGN_NONE ? "u" : "",
                          bits, bits > 8 && H5Tget_order(type) == H5T_ORDER_BE ? "-be" : "");
    if (used != bits)
        snprintf(text + length, TRM_TYPE_TEXT - (size_t)length, " of %d bits", used);
    return text;
}

/* IEEE's own by their size alone, others with the bits of their exponent and mantissa. */
static const char *float_text(hid_t type, char text[TRM_TYPE_TEXT])
{
    size_t sign = 0, exponent = 0, exponent_size = 0, mantissa = 0, mantissa_size = 0;
    const int bits = 8 * (int)H5Tget_size(type);
    const char *order = bits > 8 && H5Tget_order(type) == H5T_ORDER_BE ? "-be" : "";
    H5Tget_fields(type, &sign, &exponent, &exponent_size, &mantissa, &mantissa_size);
    const bool usual = (bits == 16 && exponent_size == 5 && mantissa_size == 10) ||
                       (bits == 32 && exponent_size == 8 && mantissa_size == 23) ||
                       (bits == 64 && exponent_size == 11 && mantissa_size == 52);
    if (bits == 16 && exponent_size == 8 && mantissa_size == 7)
        snprintf(text, TRM_TYPE_TEXT, "bfloat16%s", order);
    else if (usual)
        snprintf(text, TRM_TYPE_TEXT, "float%d%s", bits, order);
    else
        snprintf(text, TRM_TYPE_TEXT, "float%d%s (e%dm%d)", bits, order, (int)exponent_size,
                 (int)mantissa_size);
    return text;
}

/* "r, i": the first names of a compound or an enum. */
static void list_members(hid_t type, char *text, size_t size)
{
    const int members = H5Tget_nmembers(type);
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < members && used + MEMBER_TEXT + 8 < size; i++) {
        char shown[MEMBER_TEXT] = {0};
        char *name = i < MEMBERS_SHOWN ? H5Tget_member_name(type, (unsigned)i) : NULL;
        if (name != NULL)
            trm_visible(name, shown, sizeof shown);
        H5free_memory(name);
        used += (size_t)snprintf(text + used, size - used, "%s%s", i > 0 ? ", " : "",
                                 i < MEMBERS_SHOWN ? shown : "...");
        if (i == MEMBERS_SHOWN)
            break;
    }
}

/* What another type is built of: "array of", "enum of", "variable-length lists of". */
static const char *built_text(hid_t type, const char *of, const char *members, char text[TRM_TYPE_TEXT])
{
    char base_text[TRM_TYPE_TEXT];
    hid_t base = H5Tget_super(type);
    snprintf(text, TRM_TYPE_TEXT, "%s %.60s%s%s%s", of, trm_type_text(base, base_text),
             members[0] != '\0' ? " (" : "", members, members[0] != '\0' ? ")" : "");
    trm_h5_close(base);
    return text;
}

static const char *opaque_text(hid_t type, char text[TRM_TYPE_TEXT])
{
    char shown[MEMBER_TEXT] = {0}, *tag = H5Tget_tag(type);
    if (tag != NULL)
        trm_visible(tag, shown, sizeof shown);
    H5free_memory(tag);
    snprintf(text, TRM_TYPE_TEXT, "opaque values of %d byte%s%s%s", (int)H5Tget_size(type),
             H5Tget_size(type) == 1 ? "" : "s", shown[0] != '\0' ? " tagged " : "", shown);
    return text;
}

const char *trm_type_text(hid_t type, char text[TRM_TYPE_TEXT])
{
    char members[TRM_TYPE_TEXT / 2] = "";
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return integer_text(type, text);
    case H5T_FLOAT:
        return float_text(type, text);
    case H5T_STRING:
        if (H5Tis_variable_str(type) > 0)
            snprintf(text, TRM_TYPE_TEXT, "strings");
        else
            snprintf(text, TRM_TYPE_TEXT, "strings of %zu byte%s", H5Tget_size(type),
                     H5Tget_size(type) == 1 ? "" : "s");
        return text;
    case H5T_ENUM:
        list_members(type, members, sizeof members);
        return built_text(type, "enum of", members, text);
    case H5T_ARRAY:
        return built_text(type, "arrays of", members, text);
    case H5T_VLEN:
        return built_text(type, "variable-length lists of", members, text);
    case H5T_COMPOUND:
        list_members(type, members, sizeof members);
        snprintf(text, TRM_TYPE_TEXT, "compound values (%s)%s", members,
                 strcmp(members, "r, i") == 0 ? ", complex numbers" : "");
        return text;
    case H5T_OPAQUE:
        return opaque_text(type, text);
    case H5T_REFERENCE:
        snprintf(text, TRM_TYPE_TEXT, "references");
        return text;
    case H5T_BITFIELD:
        snprintf(text, TRM_TYPE_TEXT, "bit fields of %zu bits", H5Tget_precision(type));
        return text;
    case H5T_TIME:
        snprintf(text, TRM_TYPE_TEXT, "times");
        return text;
    default:
        snprintf(text, TRM_TYPE_TEXT, "a type that this HDF5 does not know");
        return text;
    }
}

const char *trm_shape_text(int rank, const hsize_t *size, char text[TRM_SHAPE_TEXT])
{
    int used = 0;
    for (int d = 0; d < rank && used < TRM_SHAPE_TEXT - 24; d++)
        used += snprintf(text + used, (size_t)(TRM_SHAPE_TEXT - used), "%s%" PRIu64, d > 0 ? " x " : "",
                         (uint64_t)size[d]);
    return text;
}

const char *trm_space_text(hid_t space, char text[TRM_SHAPE_TEXT])
{
    hsize_t size[H5S_MAX_RANK];
    const H5S_class_t class = H5Sget_simple_extent_type(space);
    const int dimensions = H5Sget_simple_extent_ndims(space);
    if (class == H5S_SIMPLE && dimensions > 0 && H5Sget_simple_extent_dims(space, size, NULL) >= 0)
        return trm_shape_text(dimensions, size, text);
    snprintf(text, TRM_SHAPE_TEXT, "%s", class == H5S_NULL ? "nothing (a null dataspace)" : "a single value");
    return text;
}

bool trm_h5_squeeze(hid_t space, int rank, int axis[3], hsize_t size[3])
{
    hsize_t all[H5S_MAX_RANK];
    bool out[H5S_MAX_RANK] = {false};
    const int dimensions = H5Sget_simple_extent_ndims(space);
    if (H5Sget_simple_extent_type(space) != H5S_SIMPLE || dimensions < rank ||
        H5Sget_simple_extent_dims(space, all, NULL) < 0)
        return false;
    int left = dimensions;
    for (int d = dimensions - 1; d >= 0 && left > rank; d--)
        if (all[d] == 1) {
            out[d] = true;
            left--;
        }
    if (left > rank)
        return false;
    for (int d = 0, k = 0; d < dimensions; d++)
        if (!out[d]) {
            axis[k] = d;
            size[k++] = all[d];
        }
    return true;
}
