//! Numbers in the bytes that no processor has: those of medical devices, half floats and decimal digits.

/// A number of IEEE 11073-20601, which Bluetooth's health services send: a mantissa and a power of ten, both signed.
/// `None` stands for the codes that say that there is no value: not a number, not at this resolution, and reserved.
pub(super) fn medical(bits: u32, mantissa_bits: u32) -> Option<f64> {
    let mantissa = bits & (u32::MAX >> (32 - mantissa_bits));
    // SFLOAT has 12 and 4 bits, FLOAT has 24 and 8.
    let exponent_bits = mantissa_bits / 3;
    let exponent = ((bits << (32 - mantissa_bits - exponent_bits)) as i32) >> (32 - exponent_bits);
    let greatest = (1 << (mantissa_bits - 1)) - 1;
    if exponent == 0 {
        // The five codes around the sign's change.
        match mantissa.wrapping_sub(greatest) {
            u32::MAX => return Some(f64::INFINITY),
            0..=2 => return None,
            3 => return Some(f64::NEG_INFINITY),
            _ => {}
        }
    }
    let mantissa = ((mantissa << (32 - mantissa_bits)) as i32) >> (32 - mantissa_bits);
    Some(times_ten_to(f64::from(mantissa), exponent))
}

/// `number · 10^exponent`, by a division where that is exact: 365 and -1 are 36.5.
pub(in super::super) fn times_ten_to(number: f64, exponent: i32) -> f64 {
    if exponent < 0 { number / 10_f64.powi(-exponent) } else { number * 10_f64.powi(exponent) }
}

/// A number of IEEE 754 in 16 bits.
pub(super) fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2_f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1_024.0 + fraction) * 2_f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// Two decimal digits a byte, the first in the high half. `None` if a half is not a digit.
pub(super) fn decimal(bits: u64, width: usize) -> Option<i128> {
    (0..width * 2).rev().try_fold(0, |number, digit| {
        let digit = i128::from(bits >> (digit * 4) & 0xf);
        (digit < 10).then_some(number * 10 + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medical_numbers_are_read_with_their_special_values() {
        // Examples and codes of the Bluetooth SIG's Personal Health Devices Transcoding White Paper.
        for (bits, expected) in [
            (0xff00_016c, Some(36.4)),
            (0xfe00_0e4c, Some(36.6)),
            (0x0000_0048, Some(72.0)),
            (0x02ff_fffe, Some(-200.0)),
            (0x007f_ffff, None),
            (0x0080_0000, None),
            (0x0080_0001, None),
            (0x007f_fffe, Some(f64::INFINITY)),
            (0x0080_0002, Some(f64::NEG_INFINITY)),
        ] {
            assert_eq!(medical(bits, 24), expected, "{bits:08x}");
        }
        for (bits, expected) in [
            (0x0072, Some(114.0)),
            (0xf16c, Some(36.4)),
            (0xe7fd, Some(20.45)),
            (0x1fff, Some(-10.0)),
            (0x07ff, None),
            (0x0800, None),
            (0x0801, None),
            (0x07fe, Some(f64::INFINITY)),
            (0x0802, Some(f64::NEG_INFINITY)),
        ] {
            assert_eq!(medical(bits, 12), expected, "{bits:04x}");
        }
    }

    #[test]
    fn half_floats_are_those_of_ieee_754() {
        for (bits, expected) in [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0001, 2_f64.powi(-24)),
            (0x3555, 0.333_251_953_125),
            (0x7c00, f64::INFINITY),
            (0xfc00, f64::NEG_INFINITY),
        ] {
            assert_eq!(half(bits).to_bits(), f64::to_bits(expected), "{bits:04x}");
        }
        assert!(half(0x7e01).is_nan());
    }

    #[test]
    fn decimal_digits_are_packed_and_nothing_else_is() {
        assert_eq!(decimal(0x1234_5678, 4), Some(12_345_678));
        assert_eq!(decimal(0x0007, 2), Some(7));
        assert_eq!(decimal(0x1a, 1), None);
    }
}
