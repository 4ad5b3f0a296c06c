//! The issuer's key. It signs and verifies tokens with RS256, which API Gateway's JWT authorizers accept.
//!
//! aws-lc-rs, which the TLS stack already needs, makes the signature. The compact form around it (RFC 7515) is three
//! texts in base64, for which a token library would bring a second set of cryptographic features.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The only algorithm.
const ALGORITHM: &str = "RS256";

/// An RSA key pair and its id.
pub struct Key {
    id: String,
    pair: KeyPair,
}

/// The key could not be created, or could not sign.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the issuer's key failed: {0}")]
pub struct KeyError(&'static str);

/// Why a token is not a token of this key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It is not three parts in base64, or its header or claims are not JSON.
    #[error("the token is malformed")]
    Malformed,
    /// It names another algorithm, or none.
    #[error("signing method is invalid")]
    Algorithm,
    /// It names another key.
    #[error("unable to find a signing key that matches")]
    UnknownKey,
    /// This key did not make the signature.
    #[error("the token's signature is invalid")]
    Signature,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
}

impl Key {
    /// A new key.
    pub fn new() -> Result<Self, KeyError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| KeyError("cannot create it"))?;
        Ok(Self { id: Uuid::new_v4().to_string(), pair })
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Map<String, Value>) -> Result<String, KeyError> {
        let header = json!({ "alg": ALGORITHM, "typ": "JWT", "kid": self.id }).to_string();
        let claims = Value::Object(claims.clone()).to_string();
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims));
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
            .map_err(|_| KeyError("cannot sign a token"))?;
        Ok(format!("{signed}.{}", BASE64.encode(signature)))
    }

    /// The claims of a token that this key signed. Does not check the claims.
    pub fn verify(&self, token: &str) -> Result<Map<String, Value>, InvalidToken> {
        let (signed, signature) = token.rsplit_once('.').ok_or(InvalidToken::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(InvalidToken::Malformed)?;
        let decode = |part: &str| BASE64.decode(part).map_err(|_| InvalidToken::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| InvalidToken::Malformed)?;
        if header.alg != ALGORITHM {
            return Err(InvalidToken::Algorithm);
        }
        if header.kid.as_deref() != Some(self.id.as_str()) {
            return Err(InvalidToken::UnknownKey);
        }
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref())
            .verify(signed.as_bytes(), &decode(signature)?)
            .map_err(|_| InvalidToken::Signature)?;
        serde_json::from_slice(&decode(claims)?).map_err(|_| InvalidToken::Malformed)
    }

    /// The public key as a key set (RFC 7517).
    pub fn public_set(&self) -> Value {
        let (modulus, exponent) = modulus_and_exponent(self.pair.public_key().as_ref()).unwrap_or_default();
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": self.id,
            "n": BASE64.encode(modulus), "e": BASE64.encode(exponent),
        }] })
    }
}

/// The modulus and exponent of a public key in DER: `SEQUENCE { INTEGER, INTEGER }` (RFC 8017, A.1.1).
fn modulus_and_exponent(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (modulus, rest) = element(sequence, 0x02)?;
    let (exponent, _) = element(rest, 0x02)?;
    // DER puts a zero in front of a number whose first bit is set.
    Some((modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent))
}

/// The content of the first DER element, if it has this tag, and the rest.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        long => {
            let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
            (digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)), rest)
        }
    };
    (first == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Map<String, Value> {
        json!({ "sub": "bed-17", "facilities": ["home-3"] }).as_object().unwrap().clone()
    }

    #[test]
    fn only_a_token_that_the_key_signed_is_verified() {
        let (key, other) = (Key::new().unwrap(), Key::new().unwrap());
        let token = key.sign(&claims()).unwrap();
        assert_eq!(key.verify(&token), Ok(claims()));
        assert_eq!(other.verify(&token), Err(InvalidToken::UnknownKey));
        let parts: Vec<&str> = token.split('.').collect();
        let forged = BASE64.encode(r#"{"sub":"bed-18"}"#);
        assert_eq!(key.verify(&[parts[0], &forged, parts[2]].join(".")), Err(InvalidToken::Signature));
        // The classic forgeries: no algorithm, and a symmetric one with the public key as its secret.
        for algorithm in ["none", "HS256"] {
            let header = BASE64.encode(json!({ "alg": algorithm, "kid": key.id }).to_string());
            assert_eq!(key.verify(&format!("{header}.{}.", parts[1])), Err(InvalidToken::Algorithm));
        }
        for malformed in ["", "a.b", "a.b.c", &parts[..2].join(".")] {
            assert_eq!(key.verify(malformed), Err(InvalidToken::Malformed), "{malformed}");
        }
    }

    #[test]
    fn the_public_set_has_the_keys_modulus_and_exponent() {
        let set = Key::new().unwrap().public_set();
        let number = |name: &str| BASE64.decode(set["keys"][0][name].as_str().unwrap()).unwrap();
        assert_eq!((number("n").len(), number("e")), (256, vec![1, 0, 1]));
        assert!(number("n")[0] >= 0x80, "a modulus of 2048 bits");
    }
}
