/* Numbers for people, as they would be typed. */
#ifndef TRM_BASE_NUMBER_H
#define TRM_BASE_NUMBER_H

enum { TRM_NUMBER_TEXT = 32 };

/* The shortest decimal that reads back as value, to the bit: 0.3, where 17 digits are 0.29999999999999999. So a number that
 * somebody typed is shown as it was typed. 1e9 has an exponent; 100000, 16777217 and 0.0001 have none. Returns text. Not
 * collective. */
const char *trm_number_text(double value, char text[TRM_NUMBER_TEXT]);

#endif
