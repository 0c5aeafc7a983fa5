//! Pictures and avatar uploads in tests.

use std::io::Cursor;

use axum::http::{HeaderMap, StatusCode};
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageEncoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use moxcms::ColorProfile;
use serde_json::{Value, json};

use super::multipart_form::MultipartForm;
use super::{Caller, GraphQLResponse, TestApp, empty_request, query};

/// A PNG of one colour with this red component.
pub fn picture(red: u8) -> Vec<u8> {
    picture_in_format(red, ImageFormat::Png)
}

/// A picture of one colour in a format.
pub fn picture_in_format(red: u8, format: ImageFormat) -> Vec<u8> {
    let picture: DynamicImage = RgbaImage::from_pixel(80, 60, Rgba([red, 9, 9, 255])).into();
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture.to_rgb8()).write_to(&mut file, format).expect("encoded");
    file.into_inner()
}

/// A JPEG of one colour with this red component in Display P3.
pub fn display_p3_picture(red: u8) -> Vec<u8> {
    let picture = RgbImage::from_pixel(80, 60, Rgb([red, 9, 9]));
    let profile = ColorProfile::new_display_p3().encode().expect("encoded");
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, 95);
    encoder.set_icc_profile(profile).expect("supported");
    encoder.encode_image(&picture).expect("encoded");
    file
}

/// The form of an avatar upload.
pub fn avatar_form(name: &str, content: &[u8]) -> MultipartForm {
    let operations = json!({ "query": query!("upload_avatar"), "variables": { "file": null } });
    MultipartForm::new(&operations, &json!({ "0": ["variables.file"] })).file("0", name, content)
}

impl Caller {
    pub async fn upload_avatar(&self, content: &[u8]) -> GraphQLResponse {
        self.upload_avatar_named("me.png", content).await
    }

    /// Uploads an avatar with this file name.
    pub async fn upload_avatar_named(&self, name: &str, content: &[u8]) -> GraphQLResponse {
        self.send_request(avatar_form(name, content).into_request(self)).await
    }

    /// Uploads a picture of one colour.
    pub async fn upload_avatar_picture(&self, red: u8) -> Value {
        self.upload_avatar(&picture(red)).await.data("/uploadAvatar").clone()
    }

    pub async fn remove_avatar(&self) -> GraphQLResponse {
        self.send(query!("remove_avatar"), json!({})).await
    }
}

impl TestApp {
    /// The response to a GET of one of the server's own URLs.
    pub async fn get_file(&self, url: &Value) -> (StatusCode, HeaderMap, Vec<u8>) {
        let url = url.as_str().expect("a URL");
        let path = url.strip_prefix(self.app.config.base_url()).expect("the server's own");
        self.request(empty_request(axum::http::Method::GET, path)).await
    }
}

/// The width of a square WebP picture, and the red component of its middle.
pub fn size_and_red(file: &[u8]) -> (u32, u8) {
    assert_eq!(image::guess_format(file).ok(), Some(ImageFormat::WebP));
    let picture = image::load_from_memory(file).expect("a picture").into_rgb8();
    assert_eq!(picture.width(), picture.height());
    (picture.width(), picture.get_pixel(picture.width() / 2, picture.width() / 2)[0])
}
