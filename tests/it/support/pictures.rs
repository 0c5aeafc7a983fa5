//! Pictures, and sending them.

use std::io::Cursor;

use axum::http::{HeaderMap, StatusCode};
use image::{DynamicImage, ImageFormat, Rgba, RgbaImage};
use serde_json::{Value, json};

use super::form::Form;
use super::{Answer, Caller, TestApp, bare, query};

/// A picture of one colour.
pub fn picture(red: u8) -> Vec<u8> {
    picture_as(red, ImageFormat::Png)
}

/// The same in a format.
pub fn picture_as(red: u8, format: ImageFormat) -> Vec<u8> {
    let picture: DynamicImage = RgbaImage::from_pixel(80, 60, Rgba([red, 9, 9, 255])).into();
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture.to_rgb8()).write_to(&mut file, format).expect("encoded");
    file.into_inner()
}

/// A file to be the avatar.
pub fn upload(name: &str, content: &[u8]) -> Form {
    let operations = json!({ "query": query!("upload_avatar"), "variables": { "file": null } });
    Form::new(&operations, &json!({ "0": ["variables.file"] })).file("0", name, content)
}

impl Caller {
    /// Uploads a file as the avatar.
    pub async fn upload(&self, content: &[u8]) -> Answer {
        self.upload_named("me.png", content).await
    }

    /// The same by another name.
    pub async fn upload_named(&self, name: &str, content: &[u8]) -> Answer {
        self.answer(upload(name, content).request(self)).await
    }

    /// Uploads a picture of one colour.
    pub async fn upload_picture(&self, red: u8) -> Value {
        self.upload(&picture(red)).await.data("/uploadAvatar").clone()
    }

    /// Removes the avatar.
    pub async fn remove_avatar(&self) -> Answer {
        self.send(query!("remove_avatar"), json!({})).await
    }
}

impl TestApp {
    /// What is at an address of ours.
    pub async fn file_at(&self, url: &Value) -> (StatusCode, HeaderMap, Vec<u8>) {
        let url = url.as_str().expect("an address");
        let path = url.strip_prefix(self.app.config.base_url()).expect("one of ours");
        self.request(bare(axum::http::Method::GET, path)).await
    }
}

/// The size and the colour in the middle of a file.
pub fn shown(file: &[u8]) -> (u32, u8) {
    assert_eq!(image::guess_format(file).ok(), Some(ImageFormat::WebP));
    let picture = image::load_from_memory(file).expect("a picture").into_rgb8();
    assert_eq!(picture.width(), picture.height());
    (picture.width(), picture.get_pixel(picture.width() / 2, picture.width() / 2)[0])
}
